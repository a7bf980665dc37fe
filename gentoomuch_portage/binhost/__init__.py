"""The store of binary packages that many machines share: its index, its generations, and what it holds for whom."""
