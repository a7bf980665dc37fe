"""A binhost on the network: a server, the keys it signs with, and clients that trust them.

The store of binary packages that many machines share: its index, its generations, and what it holds for whom.
"""
