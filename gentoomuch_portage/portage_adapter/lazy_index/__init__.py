"""Portage's package dictionaries, filled by name when they are asked."""
