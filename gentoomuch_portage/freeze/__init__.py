"""A profile in one signed file: freeze it, hold it against a machine, install it elsewhere."""
