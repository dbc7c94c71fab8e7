"""What the README prints as code is code that runs: each Python block stands word for word in a file it links to."""

import re
from pathlib import Path

from local_stack.plan import CHECKOUT

README = (CHECKOUT / "README.md").read_text()
SOURCES = [
    CHECKOUT / "examples" / "user_registration" / "messages.py",
    CHECKOUT / "examples" / "user_registration" / "registration" / "user_registration.py",
    CHECKOUT / "order_service" / "create_order_saga.py",
    CHECKOUT / "order_service" / "launches.py",
    CHECKOUT / "order_service" / "worker.py",
    CHECKOUT / "restaurant_service" / "asyncapi_specification.py",
    CHECKOUT / "restaurant_service" / "handlers.py",
    CHECKOUT / "restaurant_service" / "worker.py",
]


def test_every_python_block_of_the_readme_is_made_of_pieces_of_the_services() -> None:
    sources = [source.read_text() for source in SOURCES]
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    for block in blocks:
        for piece in block.strip().split("\n\n\n"):
            indented = [piece, "\n".join("        " + line for line in piece.splitlines())]
            assert any(form in source for form in indented for source in sources), piece


def test_every_file_that_the_readme_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert Path(CHECKOUT / target).exists(), target
