"""The trip that is only sold as a whole."""

import pytest

from tests.support.examples import as_printed, run_example

pytestmark = [pytest.mark.slow, pytest.mark.redis]


def test_the_one_command_prints_what_the_readme_says() -> None:
    printed = run_example("trip_package").splitlines()
    # A busy machine may be so slow that a provider is asked again, which the trace tells.
    assert [line for line in printed if not line.startswith("⏳")] == as_printed("trip_package")[1].splitlines()
