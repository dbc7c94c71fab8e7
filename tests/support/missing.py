"""What a test needs and this machine has not: the test is skipped and says so, or fails where all must be there."""

import os
import shutil
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(f"{reason}, and REQUIRE_SERVICES=1 asks for it", pytrace=False)
    pytest.skip(reason)


def missing_of_npm(reason: str) -> NoReturn:
    """npm itself may be away anywhere; what it installs may not where it is there."""
    if shutil.which("npm") is None:
        pytest.skip(f"{reason}, and there is no npm that could")
    missing(reason)
