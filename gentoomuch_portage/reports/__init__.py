"""What commands report about profiles, packages and machines."""
