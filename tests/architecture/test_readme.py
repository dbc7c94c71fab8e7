"""What the READMEs print as code is code that runs: each Python block stands word for word in a file."""

from pathlib import Path

import pytest

from local_stack.plan import CHECKOUT
from tests.support.readmes import assert_its_code_stands_in, assert_its_links_lead_somewhere

README = CHECKOUT / "README.md"
SOURCES = [
    CHECKOUT / "order_service" / "create_order_saga.py",
    CHECKOUT / "order_service" / "launches.py",
    CHECKOUT / "order_service" / "worker.py",
    CHECKOUT / "restaurant_service" / "handlers.py",
    CHECKOUT / "restaurant_service" / "worker.py",
]
EXAMPLES = sorted((CHECKOUT / "examples").glob("*/README.md"))


def test_every_python_block_of_the_readme_is_made_of_pieces_of_the_services() -> None:
    assert "```python" in README.read_text()
    assert_its_code_stands_in(README, SOURCES)


@pytest.mark.parametrize("readme", EXAMPLES, ids=lambda readme: readme.parent.name)
def test_every_python_block_of_an_example_is_made_of_pieces_of_its_code(readme: Path) -> None:
    assert_its_code_stands_in(readme, readme.parent.rglob("*.py"))


@pytest.mark.parametrize("readme", [README, *EXAMPLES], ids=lambda readme: readme.parent.name)
def test_every_file_that_a_readme_links_to_is_there(readme: Path) -> None:
    assert_its_links_lead_somewhere(readme)
