"""A plane ticket, a hotel room and tourist tickets, bought side by side: all three or none."""
