"""A desk that publishes who has registered, and a guest book that somebody keeps of it."""
