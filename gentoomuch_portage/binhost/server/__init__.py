"""The server's side of a binhost."""
