"""Charges cards, and gives back."""
