"""A travel agency whose one saga uses the whole language, for tests that kill its workers."""
