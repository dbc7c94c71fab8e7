"""A service that publishes the readings of meters, and bills them when it is asked to."""
