"""The trip package's services as real processes, with more rooms in the hotel, and what their databases say in the end.

`python -m tests.support.trips COUNT`: so many people buy a trip package, all in one transaction.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import insert, select

from examples.trip_package.airline.models import PlaneTicket
from examples.trip_package.hotel.models import Room
from examples.trip_package.museum.models import TouristTickets
from local_stack.plan import CHECKOUT, in_this_interpreter, preparation_command, worker_command
from sagas_framework.storage.database import open_database, reading
from sagas_framework.storage.schema import instances
from tests.support import databases
from tests.support.own_brokers import own_broker
from tests.support.servers import postgresql_database
from tests.support.workers import Workers

AGENCY = "agency"
BOOKINGS = {"airline": PlaneTicket.saga_id, "hotel": Room.saga_id, "museum": TouristTickets.saga_id}
PROVIDERS = tuple(BOOKINGS)
SERVICES = (AGENCY, *PROVIDERS)
UNFINISHED = ("running", "compensating")
END_SECONDS = 150.0


class Trips(Workers):
    """Its workers are named by their service."""

    def __init__(self, environment: Mapping[str, str], directory: Path) -> None:
        super().__init__(environment, directory)
        self._engines = {service: open_database(environment[variable_of(service)]) for service in SERVICES}
        self._doomed: dict[str, list[str]] = {}

    def command(self, worker: str) -> list[str]:
        return self._doomed.get(worker) or worker_command(package_of(worker))

    def prepare(self, rooms: int) -> None:
        commands = [in_this_interpreter(preparation_command(package_of(service))) for service in SERVICES]
        running = [subprocess.Popen(command, cwd=CHECKOUT, env=self.environment) for command in commands]
        assert [process.wait() for process in running] == [0] * len(SERVICES)
        with self._engines["hotel"].begin() as connection:
            connection.execute(insert(Room), [{"number": number} for number in range(2, rooms + 1)])

    def launch(self, count: int) -> None:
        command = [sys.executable, "-m", "tests.support.trips", str(count)]
        subprocess.run(command, cwd=CHECKOUT, env=self.environment, check=True)

    def start_doomed(self, service: str, moment: str, task: str) -> None:
        """The service's worker, which is going to kill itself; see `tests.support.dying`."""
        doomed = doomed_one_of(service)
        self._doomed[doomed] = ["python", "-m", "tests.support.dying", moment, task, package_of(service)]
        self.start(doomed, wait=False)

    def let_it_die_and_start_a_sound_one(self, service: str) -> None:
        assert self.wait_for_death(doomed_one_of(service)) == -9, self.log(doomed_one_of(service))
        self.start(service)

    def kill_and_start_again(self, service: str) -> None:
        self.kill(service)
        self.start(service)

    def close(self) -> None:
        self.kill_all()
        for engine in self._engines.values():
            engine.dispose()

    # ---- looking ----------------------------------------------------------------------------------------------

    def status_of_each(self) -> dict[str, str]:
        with reading(self._engines[AGENCY]) as connection:
            return {
                saga_id: status for saga_id, status in connection.execute(select(instances.c.id, instances.c.status))
            }

    def statuses(self) -> Counter[str]:
        return Counter(self.status_of_each().values())

    def unfinished(self) -> int:
        statuses = self.statuses()
        return sum(statuses[status] for status in UNFINISHED)

    def wait_for_the_end(self) -> None:
        self.wait_until(lambda: self.unfinished() == 0, END_SECONDS, lambda: f"{self.statuses()}{self.all_logs()}")

    def booked_at(self, provider: str) -> Counter[str]:
        """How often each saga has something in force there."""
        saga_id = BOOKINGS[provider]
        with reading(self._engines[provider]) as connection:
            return Counter(connection.scalars(select(saga_id).where(saga_id.is_not(None))))

    def kept(self) -> int:
        """How many messages could not be handled."""
        return databases.kept_in(self._engines.values())


def package_of(service: str) -> str:
    return f"examples.trip_package.{service}"


def variable_of(service: str) -> str:
    return f"{service.upper()}_DATABASE_URL"


def doomed_one_of(service: str) -> str:
    return f"{service}#doomed"


def assert_coherent(trips: Trips) -> None:
    """All three are booked, once each, or none is in force."""
    booked = {provider: trips.booked_at(provider) for provider in PROVIDERS}
    ended = trips.status_of_each()
    for saga_id, status in ended.items():
        assert status in ("succeeded", "failed"), (saga_id, status)
        in_force = {provider: booked[provider][saga_id] for provider in PROVIDERS}
        expected = 1 if status == "succeeded" else 0
        assert set(in_force.values()) == {expected}, f"{saga_id} {status}: {in_force}"
    for provider in PROVIDERS:
        assert booked[provider].keys() <= ended.keys()


@contextmanager
def trips_system(kind: str, directory: Path) -> Iterator[Trips]:
    """`embedded`: Redis on a socket and SQLite files; `servers`: RabbitMQ and PostgreSQL. No worker is running yet."""
    with ExitStack() as stack:
        servers = kind == "servers"
        broker = stack.enter_context(own_broker("rabbitmq" if servers else "redis"))
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "app_common")]),
            "CELERY_BROKER": broker.url,
            "CELERY_VISIBILITY_TIMEOUT_SECONDS": "2",
        }
        for service in SERVICES:
            sqlite = f"sqlite:///{directory / service}.sqlite3"
            environment[variable_of(service)] = stack.enter_context(postgresql_database(service)) if servers else sqlite
        trips = Trips(environment, directory)
        stack.callback(trips.close)
        yield trips


def main(count: int) -> None:
    from examples.trip_package.agency.buy_trip_package_saga import BuyTripPackage, TripPackage
    from examples.trip_package.agency.worker import orchestrator

    with orchestrator.sessions.begin() as session:
        for number in range(count):
            orchestrator.start(BuyTripPackage, TripPackage(f"traveller {number}"), session=session)


if __name__ == "__main__":
    main(int(sys.argv[1]))
