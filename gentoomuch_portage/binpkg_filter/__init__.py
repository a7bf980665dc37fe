"""Why a binary package must not be used."""
