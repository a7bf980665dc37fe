"""What plain emerge can have: each hook a file that ``gentoomuch hooks enable`` writes and ``disable`` removes."""
