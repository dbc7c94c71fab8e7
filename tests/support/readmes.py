"""What a README prints as code is code that runs, and what it links to is there."""

import re
from collections.abc import Iterable
from pathlib import Path


def assert_its_code_stands_in(readme: Path, sources: Iterable[Path]) -> None:
    """Each Python block is made of pieces that stand word for word in one of these files."""
    texts = [source.read_text() for source in sources]
    for block in re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL):
        for piece in block.strip().split("\n\n\n"):
            indented = [piece, "\n".join("        " + line for line in piece.splitlines())]
            assert any(form in text for form in indented for text in texts), piece


def assert_its_links_lead_somewhere(readme: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", readme.read_text()):
        assert (readme.parent / target).exists(), target
