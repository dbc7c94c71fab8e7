"""The exam that nobody sits a fourth time."""

import pytest

from tests.support.examples import as_printed, run_example

pytestmark = [pytest.mark.slow, pytest.mark.redis]


def test_the_one_command_prints_what_the_readme_says() -> None:
    assert run_example("exam_attempts") == as_printed("exam_attempts")[1]
