"""`make smoke` as whoever types it sees it: the real services, the five sagas, and nothing left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from local_stack.plan import CHECKOUT
from local_stack.smoke import LAUNCHES
from tests.local_stack.stub_system import wait_for

pytestmark = pytest.mark.slow

OWN_CHOICES = ("CELERY_BROKER", "_DATABASE_URL", "ORDER_SERVICE_HOST")


@pytest.fixture
def smoke() -> Iterator[subprocess.Popen[str]]:
    environ = {key: value for key, value in os.environ.items() if not key.endswith(OWN_CHOICES)}
    paths = f"{CHECKOUT}:{CHECKOUT / 'app_common'}"
    with subprocess.Popen(
        [sys.executable, "-m", "local_stack", "smoke"],
        cwd=CHECKOUT,
        env={**environ, "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        yield process
        process.kill()


def states() -> set[str]:
    return {path.name for path in (CHECKOUT / ".local").glob("smoke-*")}


def test_the_five_sagas_end_as_they_must_and_nothing_is_left(smoke: subprocess.Popen[str]) -> None:
    before = states()
    output, _ = smoke.communicate()
    assert smoke.returncode == 0, output
    for launch in LAUNCHES:
        assert launch.path in output
    assert output.count("begin saga") == output.count("end saga") == output.count("as it must:") == len(LAUNCHES)
    assert "Traceback" not in output
    assert states() <= before


def test_an_interrupted_smoke_test_fails_and_leaves_nothing(smoke: subprocess.Popen[str]) -> None:
    before = states()
    process = psutil.Process(smoke.pid)
    wait_for(lambda: len(process.children()) >= 5)
    children = process.children(recursive=True)
    smoke.send_signal(signal.SIGINT)
    output, _ = smoke.communicate()
    assert smoke.returncode == 1
    assert "stopped before the end" in output
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert states() <= before
