"""Cooks, once the card is authorized."""
