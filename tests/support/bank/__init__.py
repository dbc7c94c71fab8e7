"""A bank whose participant publishes, and a ledger that subscribes, as real workers."""
