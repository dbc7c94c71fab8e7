"""Sells tickets to tourists, as many as they like."""
