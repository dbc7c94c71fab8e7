"""The example of parking slots as real processes, on both set-ups."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from examples.parking_booking.billing_service.models import Base as BillingBase
from examples.parking_booking.booking_service.models import Base as BookingBase
from examples.parking_booking.parking_service.models import Base as ParkingBase
from examples.parking_booking.parking_service.models import ParkingSlot
from local_stack.plan import CHECKOUT
from sagas_framework import upgrade_database
from sagas_framework.storage.database import open_database, reading
from tests.support.own_brokers import own_broker
from tests.support.servers import postgresql_database, rabbitmq_vhost
from tests.support.workers import READY_SECONDS, Workers

PATIENCE_SECONDS = 200.0
PACKAGE = "examples.parking_booking"
PARKING, BOOKING, BILLING = "parking_service", "booking_service", "billing_service"
TABLES = {PARKING: ParkingBase.metadata, BOOKING: BookingBase.metadata, BILLING: BillingBase.metadata}

Row = tuple[Any, ...]


class Parking(Workers):
    """Its workers are named by their service."""

    def __init__(self, environment: Mapping[str, str], logs: Path, engines: Mapping[str, Engine]) -> None:
        super().__init__(environment, logs)
        self._engines = engines
        self._typed: list[subprocess.Popen[str]] = []

    def command(self, worker: str) -> list[str]:
        return super().command(f"{PACKAGE}.{worker}.worker")

    def type_in(self, service: str, *arguments: str) -> subprocess.Popen[str]:
        """A command line that somebody has begun: `communicate()` waits for its end."""
        typed = subprocess.Popen(
            [sys.executable, "-m", f"{PACKAGE}.{service}.cli", *arguments],
            cwd=CHECKOUT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._typed.append(typed)
        return typed

    def close(self) -> None:
        self.kill_all()
        for typed in self._typed:  # those that a failed test has left waiting
            with typed:
                typed.kill()

    def book(self, slot: str, *options: str) -> subprocess.Popen[str]:
        """With a patience that no slow machine exhausts."""
        return self.type_in(BOOKING, "create_booking_request", slot, f"--timeout-seconds={PATIENCE_SECONDS}", *options)

    def says(self, service: str, *arguments: str) -> tuple[str, int | None]:
        """What a command line prints, and its exit code."""
        return ending_of(self.type_in(service, *arguments))

    def work(self, *services: str) -> None:
        """Nothing waits until they are ready: what is sent to them waits in its queue."""
        for service in services:
            self.start(service, wait=False)

    def new_slot(self) -> str:
        with Session(self._engines[PARKING]) as session, session.begin():
            session.add(slot := ParkingSlot(name="Slot 1"))
            session.flush()
            return slot.uuid

    def rows(self, service: str, statement: str) -> list[Row]:
        with reading(self._engines[service]) as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def write(self, service: str, statement: str) -> None:
        with self._engines[service].begin() as connection:
            connection.execute(text(statement))

    def slots(self) -> list[Row]:
        return self.rows(PARKING, "SELECT status, ref_no FROM parking_slots")

    def bookings(self) -> list[str]:
        return [status for (status,) in self.rows(BOOKING, "SELECT status FROM bookings ORDER BY id")]

    def bills(self) -> list[str]:
        return [status for (status,) in self.rows(BILLING, "SELECT status FROM billing_requests ORDER BY id")]

    def ref_no(self, booking: int) -> str:
        return str(self.rows(BOOKING, "SELECT parking_slot_ref_no FROM bookings ORDER BY id")[booking][0])

    def wait_for_bookings(self, *statuses: str) -> None:
        self.wait_until(lambda: self.bookings() == list(statuses), READY_SECONDS, lambda: f"{self.bookings()}")


def ending_of(typed: subprocess.Popen[str]) -> tuple[str, int | None]:
    printed, _ = typed.communicate()
    return printed, typed.returncode


@contextmanager
def parking_system(kind: str, directory: Path) -> Iterator[Parking]:
    """`embedded`: Redis on a socket and SQLite files; `servers`: RabbitMQ and PostgreSQL. No worker is running yet."""
    with ExitStack() as stack:
        servers = kind == "servers"
        broker = stack.enter_context(rabbitmq_vhost()) if servers else stack.enter_context(own_broker("redis")).url
        urls = {
            name: stack.enter_context(postgresql_database(name)) if servers else f"sqlite:///{directory / name}"
            for name in TABLES
        }
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "app_common")]),
            "CELERY_BROKER": broker,
            "CELERY_VISIBILITY_TIMEOUT_SECONDS": "2",
            **{f"{name.upper()}_DATABASE_URL": url for name, url in urls.items()},
        }
        engines = {name: open_database(url) for name, url in urls.items()}
        for name, engine in engines.items():
            stack.callback(engine.dispose)
            upgrade_database(engine, TABLES[name])
        parking = Parking(environment, directory, engines)
        stack.callback(parking.close)
        yield parking
