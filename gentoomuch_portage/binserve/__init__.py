"""A binhost on the network: a server, the keys it signs with, and clients that trust them."""
