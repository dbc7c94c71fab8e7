"""Knows the slots, and who has which."""
