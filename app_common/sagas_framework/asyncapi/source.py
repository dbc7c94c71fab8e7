"""Stub of the lead's module."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import yaml

from sagas_framework.asyncapi.document import Document


def load(source: str) -> Document:
    if Path(source).suffix in (".yaml", ".yml", ".json"):
        document: Document = yaml.safe_load(Path(source).read_text())
        return document
    sys.path.insert(0, str(Path.cwd()))
    module = importlib.import_module(f"{source}.asyncapi_specification")
    found: Document = module.specification
    return found
