"""Takes orders and carries each through its saga: asks the other services, never imports them."""
