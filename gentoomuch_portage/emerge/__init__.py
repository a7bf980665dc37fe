"""One run of gm-emerge."""
