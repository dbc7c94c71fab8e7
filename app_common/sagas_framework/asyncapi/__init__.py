"""Stub of the lead's package."""
