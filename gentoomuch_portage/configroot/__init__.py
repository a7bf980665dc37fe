"""The configroot of a profile: merged layers, written and cached."""
