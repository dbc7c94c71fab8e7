"""What follows from what happens to users: no tables of its own, three process managers."""
