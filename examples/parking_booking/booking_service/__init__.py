"""Takes in bookings, and orchestrates what the other two do for them."""
