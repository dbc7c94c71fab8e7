"""Has one room."""
