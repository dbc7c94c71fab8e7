"""Keeps the tickets that say what is to be cooked. Takes part in other services' sagas."""
