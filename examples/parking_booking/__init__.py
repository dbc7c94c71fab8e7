"""Booking a parking slot: README.md says what this shows."""
