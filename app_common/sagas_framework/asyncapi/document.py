"""Stub of the lead's module."""

from __future__ import annotations

import json
from typing import Any

import yaml

Document = dict[str, Any]


def to_yaml(document: Document) -> str:
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    return text


def to_json(document: Document) -> str:
    return json.dumps(document)
