"""A subscriber that gathers the readings of all meters of a house, in two ways, and has them billed."""
