"""Takes orders, and learns from the others what becomes of them."""
