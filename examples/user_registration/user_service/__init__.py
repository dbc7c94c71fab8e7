"""Knows the users. Says what happens to them, and to whom it matters is not its business."""
