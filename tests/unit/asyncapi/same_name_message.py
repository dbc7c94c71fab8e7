"""Classes whose names another module has, too."""

from dataclasses import dataclass


@dataclass
class Item:
    weight: int
    """In grams."""


@dataclass
class Payload:
    items: list[Item]
