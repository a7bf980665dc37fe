"""Events of a run: log, pipe, reporter."""
