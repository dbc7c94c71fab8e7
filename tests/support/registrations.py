"""The user registration's services as real processes, and what their databases say in the end.

`python -m tests.support.registrations invite FIRST END`: a user invites those of them who are going to verify.
`... register FIRST END`: they register; every other one verifies the address, the rest let a short time run out.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, or_, select

from examples.user_registration.mail_service.models import SentMail
from examples.user_registration.user_service.models import User
from local_stack.plan import CHECKOUT, in_this_interpreter, preparation_command, worker_command
from sagas_framework.storage.database import open_database, reading
from sagas_framework.storage.schema import event_inbox, instances, outbox
from tests.support import databases
from tests.support.own_brokers import own_broker
from tests.support.servers import postgresql_database, rabbitmq_vhost
from tests.support.workers import Workers

USERS, MAILS, REGISTRATION = SERVICES = ("user_service", "mail_service", "registration")
PACKAGE = "examples.user_registration"
A_SHORT_TIME = timedelta(seconds=1)
END_SECONDS = 200.0
AN_HOUR_SECONDS = 3600.0
"""What is to be sent later than that is a time-out that no test waits for."""


class Registrations(Workers):
    """Its workers are named by their service, with `#2` and so on for a second one of it."""

    def __init__(self, environment: Mapping[str, str], directory: Path) -> None:
        super().__init__(environment, directory)
        self._engines = {service: open_database(environment[variable_of(service)]) for service in SERVICES}
        self._doomed: dict[str, list[str]] = {}

    def command(self, worker: str) -> list[str]:
        return self._doomed.get(worker) or worker_command(package_of(worker))

    def prepare(self) -> None:
        commands = [in_this_interpreter(preparation_command(package_of(service))) for service in SERVICES]
        running = [subprocess.Popen(command, cwd=CHECKOUT, env=self.environment) for command in commands]
        assert [process.wait() for process in running] == [0] * len(SERVICES)

    def act(self, act: str, first: int, end: int) -> None:
        command = [sys.executable, "-m", "tests.support.registrations", act, str(first), str(end)]
        subprocess.run(command, cwd=CHECKOUT, env=self.environment, check=True)

    def start_doomed(self, service: str, task: str) -> None:
        """A worker that is going to kill itself when half of a batch is published; see `tests.support.dying`."""
        self._doomed[doomed := f"{service}#doomed"] = [
            *["python", "-m", "tests.support.dying", "amid_publish", task, package_of(service)]
        ]
        self.start(doomed, wait=False)

    def let_it_die_and_start_a_sound_one(self, service: str) -> None:
        assert self.wait_for_death(doomed := f"{service}#doomed") == -9, self.log(doomed)
        self.start(service)

    def kill_and_start_again(self, worker: str) -> None:
        self.kill(worker)
        self.start(worker)

    def close(self) -> None:
        self.kill_all()
        for engine in self._engines.values():
            engine.dispose()

    # ---- looking ----------------------------------------------------------------------------------------------

    def statuses(self) -> dict[str, str]:
        """Of each user, by address."""
        with reading(self._engines[USERS]) as connection:
            return {email: status for email, status in connection.execute(select(User.email, User.status))}

    def mails(self) -> dict[str, Counter[str]]:
        """How often each mail was sent to each address."""
        sent: dict[str, Counter[str]] = {}
        with reading(self._engines[MAILS]) as connection:
            for to, subject in connection.execute(select(SentMail.to, SentMail.subject)):
                sent.setdefault(to, Counter())[subject] += 1
        return sent

    def count_of_mails(self) -> int:
        return sum(mails.total() for mails in self.mails().values())

    def wait_for_mails(self, count: int) -> None:
        self.wait_until(lambda: self.count_of_mails() >= count, END_SECONDS, self.all_logs)

    def wait_for_the_end(self) -> None:
        """Nobody's registration is open, and nothing that was said waits for its receipt, or to be handled."""
        self.wait_until(lambda: self.open() == 0, END_SECONDS, lambda: f"{self.open()}{self.all_logs()}")

    def open(self) -> int:
        count = Counter(self.statuses().values())["registered"]
        with reading(self._engines[REGISTRATION]) as connection:
            count += connection.scalars(select(func.count()).select_from(event_inbox)).one()
        to_send = select(func.count()).where(
            or_(outbox.c.due_at.is_(None), outbox.c.due_at < time.time() + AN_HOUR_SECONDS)
        )
        for engine in self._engines.values():
            with reading(engine) as connection:
                count += connection.scalars(to_send).one()
        return count

    def sagas(self, manager: str) -> Counter[str]:
        """How many sagas of a process manager have which status."""
        statuses = select(instances.c.status).where(instances.c.saga == manager)
        with reading(self._engines[REGISTRATION]) as connection:
            return Counter(connection.scalars(statuses))

    def kept(self) -> int:
        """How many messages could not be handled."""
        return databases.kept_in(self._engines.values())


def variable_of(service: str) -> str:
    return f"{service.upper()}_DATABASE_URL"


def package_of(worker: str) -> str:
    return f"{PACKAGE}.{worker.partition('#')[0]}"


def address(number: int) -> str:
    return f"user{number}@example.org"


def verifies(number: int) -> bool:
    return number % 2 == 0


@contextmanager
def registration_environment(kind: str, directory: Path) -> Iterator[dict[str, str]]:
    """`embedded`: Redis on a socket and SQLite files; `servers`: RabbitMQ and PostgreSQL."""
    with ExitStack() as stack:
        servers = kind == "servers"
        broker = stack.enter_context(rabbitmq_vhost()) if servers else stack.enter_context(own_broker("redis")).url
        urls = {
            service: stack.enter_context(postgresql_database(service))
            if servers
            else f"sqlite:///{directory / service}.sqlite3"
            for service in SERVICES
        }
        yield {"CELERY_BROKER": broker, **{variable_of(service): url for service, url in urls.items()}}


@contextmanager
def registration_system(kind: str, directory: Path) -> Iterator[Registrations]:
    """No worker is running yet."""
    with registration_environment(kind, directory) as chosen, ExitStack() as stack:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "app_common")]),
            "CELERY_VISIBILITY_TIMEOUT_SECONDS": "2",
            **chosen,
        }
        registrations = Registrations(environment, directory)
        stack.callback(registrations.close)
        registrations.prepare()
        yield registrations


def main(act: str, first: int, end: int) -> None:
    from examples.user_registration.user_service import accounts

    if act == "invite":
        inviter = accounts.register("Ada", "ada@example.org")
        accounts.verify(inviter)
        for number in filter(verifies, range(first, end)):
            accounts.invite(inviter, address(number))
        return
    for number in range(first, end):
        within = accounts.A_DAY if verifies(number) else A_SHORT_TIME
        user = accounts.register(f"user {number}", address(number), within)
        if verifies(number):
            accounts.verify(user)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
