"""The command line of gentoomuch."""
