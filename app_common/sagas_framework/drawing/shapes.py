"""The pieces of an SVG: text, icons, lines, and the picture round them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sagas_framework.drawing.style import ICONS
from sagas_framework.drawing.text import cut, escaped, width_of

NAME_SIZE = 13
FACT_SIZE = 11
BOLD = 1.16  # so much wider
MARK_HEIGHT = 19
ARROW_LENGTH = 7

Lines = Iterator[str]


@dataclass(frozen=True)
class Shape:
    """Something that knows its size before anybody says where it stands."""

    width: float
    height: float
    draw: Callable[[float, float], Lines]  # at the left and the top


def picture(name: str, description: str, size: tuple[float, float], content: Iterable[str], style: str | None) -> str:
    """A whole SVG: a file with its style sheet; without one, what stands in a page that has it."""
    width, height = size
    file = 'xmlns="http://www.w3.org/2000/svg" ' if style is not None else ""
    return "\n".join(
        [
            f'<svg {file}class="sagas-diagram" role="img" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}">',
            title(name),
            f"<desc>{escaped(description)}</desc>",
            *([f"<style>{style}</style>"] if style is not None else []),
            *content,
            "</svg>\n",
        ]
    )


def looking(*classes: str) -> str:
    """The names of the style sheet have a prefix: the picture may stand in a page that has names of its own."""
    return f' class="{" ".join(f"sd-{each}" for each in classes)}"' if classes else ""


def text(words: str, x: float, y: float, looks: str = "") -> str:
    return f'<text{looking(*looks.split())} x="{x:g}" y="{y:g}">{escaped(words)}</text>'


def icon(name: str, x: float, y: float, size: float = 16) -> str:
    path = ICONS.get(name)
    return (
        f'<path{looking("icon")} transform="translate({x:g} {y:g}) scale({size / 16:g})" d="{path}"/>' if path else ""
    )


def mark(name: str, words: str, left: float, top: float, room: float) -> Lines:
    """A pill with an icon and a word; `room` is for the word."""
    word = cut(words, FACT_SIZE * BOLD, room)
    width = width_of(word, FACT_SIZE * BOLD) + 32
    yield f'<g{looking("mark")} transform="translate({left:g} {top:g})">'
    yield f'<rect{looking("pill")} width="{width:.0f}" height="{MARK_HEIGHT}" rx="{MARK_HEIGHT / 2:g}"/>'
    yield icon(name, 8, 4, 11) + text(word, 24, 13.5) + "</g>"


def line(path: str, looks: str = "") -> str:
    return f'<path{looking("edge", *looks.split())} d="{path}"/>'


def title(words: str) -> str:
    """What is told of a thing when it is pointed at, and to those who do not see it."""
    return f"<title>{escaped(words)}</title>"


def widest(shapes: Sequence[Shape]) -> float:
    return max((shape.width for shape in shapes), default=0.0)
