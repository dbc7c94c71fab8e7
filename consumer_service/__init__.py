"""Knows the consumers and says whether one may order. Takes part in other services' sagas."""
