"""Counts who has sat which exam how often."""
