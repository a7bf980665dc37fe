"""The client's side of a binhost."""
