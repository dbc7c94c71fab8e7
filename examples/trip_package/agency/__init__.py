"""Sells trips as a package. Owns the saga, and nothing of what the package is made of."""
