"""The plugins that are always here, a file each."""
