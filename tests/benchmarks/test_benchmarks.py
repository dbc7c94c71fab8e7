"""One short run of the real thing: that it measures, never how fast it is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import figures, results
from local_stack.plan import CHECKOUT, SERVICES

TIME_OUT_SECONDS = 120


@pytest.mark.slow
@pytest.mark.redis
def test_a_quick_run_has_every_figure(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks", "run", "--quick", "--control", "none", "--out", str(out)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=TIME_OUT_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(out) in done.stdout

    found = results.load(out)
    assert found.is_quick and not found.has_failed
    (session,) = found.sessions
    (ours,) = session.measured()
    named = {figures.RATE, figures.P50, figures.P95, figures.P99, figures.CPU, figures.MEMORY, figures.DISK}
    parts = {figures.part(figures.CPU, service) for service in (*SERVICES, "producer", "broker")}
    assert named | parts <= set(ours.runs[0])
    assert ours.values(figures.RATE)[0] > 0
    assert json.loads(out.read_text())["machine"]["Python"]
