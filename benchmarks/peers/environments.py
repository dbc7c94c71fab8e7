"""The peers: what each of them is, the virtual environment it runs in, and one run of it in a process of its own."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

PEERS = Path(__file__).resolve().parent
ENVIRONMENTS = PEERS.parents[1] / ".local" / "bench"
COMMON = PEERS / "common"
DEFAULT_TIME_OUT = 600.0
SECONDS_TO_STOP = 20.0
TAIL = 4000


class PeerFailed(Exception):
    """A peer could not be installed, did not end in time, or did not do its work."""


@dataclass(frozen=True)
class Peer:
    name: str
    title: str
    guarantees: str
    lacks: str
    brokers: tuple[str, ...]
    """The schemes its messages may go through; "none" when it needs no broker."""
    databases: tuple[str, ...]
    """The kinds of database it may keep its sagas in; "none" when it keeps nothing or needs none."""

    def run(
        self,
        broker: str,
        database: str,
        pattern: str,
        sagas: int,
        mode: str,
        time_out: float = DEFAULT_TIME_OUT,
        root: Path = ENVIRONMENTS,
        **options: object,
    ) -> dict[str, Any]:
        """The figures its run.py printed. Further options are the peer's own: `pool="solo"` becomes `--pool solo`."""
        command = [str(interpreter_of(self.name, root)), str(PEERS / self.name / "run.py")]
        given = {"broker": broker, "database": database, "pattern": pattern, "sagas": sagas, "mode": mode, **options}
        for name, value in given.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        output = _output_of(command, time_out)
        figures: dict[str, Any] = json.loads(output.splitlines()[-1])
        return figures


def peers() -> list[Peer]:
    return [_read(path) for path in sorted(PEERS.glob("*/peer.toml"))]


def interpreter_of(peer: str, root: Path = ENVIRONMENTS) -> Path:
    """The peer's own interpreter. Its environment is made when it is missing or the requirements have changed."""
    requirements = PEERS / peer / "requirements.txt"
    environment = root / peer
    interpreter = environment / "bin" / "python"
    stamp = environment / "requirements.sha256"
    checksum = hashlib.sha256(sys.version.encode() + requirements.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != checksum:
        shutil.rmtree(environment, ignore_errors=True)
        venv.create(environment, symlinks=True, with_pip=True)
        _install(interpreter, requirements)
        stamp.write_text(checksum)
    return interpreter


def _read(path: Path) -> Peer:
    fields = tomllib.loads(path.read_text())
    return Peer(
        name=path.parent.name,
        title=fields["title"],
        guarantees=fields["guarantees"],
        lacks=fields["lacks"],
        brokers=tuple(fields["brokers"]),
        databases=tuple(fields["databases"]),
    )


def _install(interpreter: Path, requirements: Path) -> None:
    command = [str(interpreter), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    done = subprocess.run([*command, "--requirement", str(requirements)], capture_output=True, text=True)
    if done.returncode != 0:
        raise PeerFailed(f"could not install {requirements}:\n{done.stderr[-TAIL:]}")


def _output_of(command: Sequence[str], time_out: float) -> str:
    # Files and no pipes: a process left behind would hold a pipe open, and reading it would never end.
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": str(COMMON)},
            start_new_session=True,
        )
        try:
            code = process.wait(time_out)
        except subprocess.TimeoutExpired:
            raise PeerFailed(f"{_said(command)} did not end in {time_out:.0f} s:\n{_tail(errors)}") from None
        finally:
            _end(process)
        if code != 0:
            raise PeerFailed(f"{_said(command)} ended with {code}:\n{_tail(errors)}")
        output.seek(0)
        return output.read()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the whole group: first in peace, so that the runner can stop its workers, then whatever is left."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_STOP)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(file: IO[str]) -> str:
    file.seek(0)
    return file.read()[-TAIL:]


def _said(command: Sequence[str]) -> str:
    return " ".join(command)
