"""Reading binary packages, here and on a binhost."""
