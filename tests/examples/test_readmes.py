"""What an example's README prints as code is code of the example, word for word."""

import re
from pathlib import Path

import pytest

from local_stack.plan import CHECKOUT

EXAMPLES = sorted(path.parent for path in (CHECKOUT / "examples").glob("*/README.md"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_python_block_of_a_readme_stands_in_the_example(example: Path) -> None:
    sources = [source.read_text() for source in example.rglob("*.py")]
    blocks = re.findall(r"^```python\n(.*?)^```$", (example / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        for piece in block.strip().split("\n\n\n"):
            assert any(piece in source for source in sources), piece


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_file_that_a_readme_links_to_is_there(example: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (example / "README.md").read_text()):
        assert (example / target).exists(), target
