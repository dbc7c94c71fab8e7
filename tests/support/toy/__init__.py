"""A saga of one remote step whose handler or callback can be made to kill its process."""
