"""Knows who may order."""
