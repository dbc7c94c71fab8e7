"""The local stack with real processes: workers, page and Redis start together and end together."""

import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local_stack.stub_system import Stub, free_port, stub_checkout

pytestmark = pytest.mark.slow


@pytest.fixture
def stub() -> Iterator[Stub]:
    with stub_checkout() as stub:
        yield stub


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_every_process_and_is_no_failure(stub: Stub, number: signal.Signals) -> None:
    with stub.stack(free_port()) as stack:
        stack.wait_until_serving()
        stack.send(number)
        assert stack.exit_code() == 0
        assert stack.left_behind() == []
        assert "is killed" not in stack.output
        assert "Traceback" not in stack.output


def test_no_process_outlives_a_stack_that_is_killed(stub: Stub) -> None:
    with stub.stack(free_port()) as stack:
        stack.wait_until_serving()
        assert len(stack.seen) == 7
        stack.send(signal.SIGKILL)
        assert stack.left_behind() == []


def test_a_killed_stack_can_be_started_again_at_once(stub: Stub) -> None:
    port = free_port()
    with stub.stack(port) as stack:
        stack.wait_until_serving()
        stack.send(signal.SIGKILL)
        stack.left_behind()
    with stub.stack(port) as again:
        again.wait_until_serving()


def test_a_worker_that_dies_is_named_with_how_it_died_and_ends_the_stack(stub: Stub) -> None:
    with stub.stack(free_port()) as stack:
        stack.wait_until_serving()
        stack.child("consumer_service.worker").kill()
        assert stack.exit_code() == 1
        assert "consumer_service ended by itself, killed by SIGKILL" in stack.output
        assert stack.left_behind() == []


def test_a_broken_worker_is_shown_with_its_last_lines(stub: Stub) -> None:
    stub.write("accounting_service/worker.py", "raise SystemExit('ACCOUNTING_SERVICE_DATABASE_URL is malformed')\n")
    with stub.stack(free_port()) as stack:
        assert stack.exit_code() == 1
        assert "ACCOUNTING_SERVICE_DATABASE_URL is malformed" in stack.output
        assert "accounting_service ended by itself, exit code 1" in stack.output


def test_a_database_that_cannot_be_prepared_stops_the_start(stub: Stub) -> None:
    stub.write("restaurant_service/prepare_database.py", "raise SystemExit('no such host')\n")
    with stub.stack(free_port()) as stack:
        assert stack.exit_code() == 1
        assert "no such host" in stack.output
        assert "restaurant_service db ended by itself, exit code 1" in stack.output
        assert "starting order_service" not in stack.output


def test_a_busy_port_is_one_line_that_says_what_to_do(stub: Stub) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with stub.stack(port) as stack:
            assert stack.exit_code() == 1
            assert f"ORDER_SERVICE_PORT={port + 1}" in stack.output
            assert len(stack.output.splitlines()) == 1


def test_a_second_stack_in_the_same_checkout_is_refused_and_harms_nothing(stub: Stub) -> None:
    with stub.stack(free_port()) as first:
        first.wait_until_serving()
        with stub.stack(free_port()) as second:
            assert second.exit_code() == 1
            assert "already running in this checkout" in second.output
            assert len(second.output.splitlines()) == 1
        assert all(child.is_running() for child in first.seen)


def test_stacks_of_two_checkouts_run_at_once(stub: Stub) -> None:
    with stub_checkout() as other, stub.stack(free_port()) as first, other.stack(free_port()) as second:
        first.wait_until_serving()
        second.wait_until_serving()


def test_a_broker_of_the_users_own_is_used_and_no_redis_started(stub: Stub) -> None:
    with stub.stack(free_port(), CELERY_BROKER="memory://") as stack:
        stack.wait_until_serving()
        assert len(stack.seen) == 6
        assert "embedded Redis" not in stack.output


def test_queued_messages_survive_a_kill_of_the_stack_with_its_redis(stub: Stub) -> None:
    socket_path = str(stub.checkout / ".local" / "redis.sock")
    with stub.stack(free_port()) as stack:
        stack.wait_until_serving()
        assert asked(socket_path, b"RPUSH some.queue message\r\n") == b":1\r\n"
        stack.send(signal.SIGKILL)
        assert stack.left_behind() == []
    with stub.stack(free_port()) as again:
        again.wait_until_serving()
        assert asked(socket_path, b"LLEN some.queue\r\n") == b":1\r\n"


def test_a_checkout_too_deep_for_a_unix_socket_is_one_line() -> None:
    with stub_checkout() as stub:
        deep = Path(tempfile.mkdtemp(prefix="x" * 90, dir=stub.checkout))
        stub.checkout.joinpath("app_common").rename(deep / "app_common")
        with Stub(deep).stack(free_port()) as stack:
            assert stack.exit_code() == 1
            assert "move the checkout to a shorter path" in stack.output
            assert len(stack.output.splitlines()) == 1


def asked(socket_path: str, command: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(socket_path)
        connection.sendall(command)
        return connection.recv(100)
