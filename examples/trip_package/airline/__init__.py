"""Sells seats, and never runs out of them."""
