"""Holds money on cards."""
