"""Authorizes cards and keeps what it authorized. Takes part in other services' sagas."""
