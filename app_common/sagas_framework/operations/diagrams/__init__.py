"""Sagas as pictures: a definition, or one of its instances with how far each step is.

Belongs here: what is drawn (`scene`), and its two forms, Mermaid and SVG. Pure functions over a definition and the
steps of an instance. Does not belong here: reading instances (that is `operations`), and files and pages.
"""

from sagas_framework.drawing.style import STYLE
from sagas_framework.operations.diagrams.mermaid import mermaid
from sagas_framework.operations.diagrams.svg import svg

__all__ = ["STYLE", "mermaid", "svg"]
