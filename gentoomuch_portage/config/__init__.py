"""Settings and profiles: what is read from gentoomuch.toml and profiles/NAME.toml."""
