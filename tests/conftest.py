"""For all tests: those that need a server run when it answers on localhost."""

import os

import pytest

from tests.support.servers import SERVERS


def pytest_runtest_setup(item: pytest.Item) -> None:
    for server in SERVERS:
        if item.get_closest_marker(server.marker) is None or server.answers():
            continue
        reason = f"no {server.name} answers on {server.address}"
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail(f"{reason}, and REQUIRE_SERVICES=1 asks for it", pytrace=False)
        pytest.skip(reason)
