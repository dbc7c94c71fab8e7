"""The exam that nobody sits a fourth time."""

import signal

import psutil
import pytest

from tests.local_stack.stub_system import wait_for
from tests.support.examples import as_printed, run_example, started

pytestmark = [pytest.mark.slow, pytest.mark.redis]


def test_the_one_command_prints_what_the_readme_says() -> None:
    assert run_example("exam_attempts") == as_printed("exam_attempts")[1]


def test_an_interrupted_example_leaves_nothing() -> None:
    with started("exam_attempts") as process:
        wait_for(
            lambda: len(psutil.Process(process.pid).children()) >= 3
        )  # Redis and the workers, or what prepares them
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate()
        assert process.returncode == 1 and "stopped before the end" in complaints
        assert psutil.wait_procs(children, timeout=10)[1] == []
