"""The plugin API, and the manager of plugins."""
