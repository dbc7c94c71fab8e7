"""Real workers: a participant tells of something, which starts a saga, whose end tells a subscriber."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from local_stack.plan import CHECKOUT
from sagas_framework import upgrade_database
from sagas_framework.storage.database import open_database, reading
from sagas_framework.storage.schema import event_inbox, instances, outbox
from tests.support.own_brokers import own_broker
from tests.support.servers import postgresql_database
from tests.support.shop.books_handlers import metadata, noted
from tests.support.workers import Workers

pytestmark = pytest.mark.slow

TILL, OFFICE, BOOKS = (f"tests.support.shop.{name}" for name in ("till", "office", "books"))
NAMES = ("TILL", "OFFICE", "BOOKS")
END_SECONDS = 120.0


class Shop(Workers):
    def __init__(self, environment: dict[str, str], logs: Path) -> None:
        super().__init__(environment, logs)
        self.engines: dict[str, Engine] = {}
        for name in NAMES:
            self.engines[name] = open_database(environment[f"{name}_DATABASE_URL"])
            upgrade_database(self.engines[name], *([metadata] if name == "BOOKS" else []))

    def tell_of_orders(self, count: int) -> None:
        command = [sys.executable, "-m", TILL, str(count)]
        subprocess.run(command, cwd=CHECKOUT, env=self.environment, check=True)

    def rows(self, name: str, *columns: Any) -> list[Any]:
        with reading(self.engines[name]) as connection:
            return list(connection.execute(select(*columns)).all())

    def noted(self) -> list[int]:
        return sorted(order_id for (order_id,) in self.rows("BOOKS", noted.c.order_id))

    def sagas(self) -> list[tuple[int, str]]:
        return sorted((data["order_id"], status) for data, status in self.rows("OFFICE", *_SAGA))

    def under_way(self) -> int:
        """What is still in an outbox or an inbox."""
        tables = [(name, table) for name in NAMES for table in (outbox, event_inbox)]
        return sum(count for name, table in tables for (count,) in self.rows(name, func.count(table.c.id)))

    def wait_for_the_end(self, count: int) -> None:
        self.wait_until(
            lambda: len(self.noted()) >= count and not self.under_way(),
            END_SECONDS,
            lambda: f"{self.noted()} {self.sagas()} {self.under_way()}{self.all_logs()}",
        )


_SAGA = (instances.c.data, instances.c.status)


@pytest.fixture(
    params=[
        pytest.param("embedded", marks=pytest.mark.long),
        pytest.param("servers", marks=[pytest.mark.rabbitmq, pytest.mark.postgresql]),
    ]
)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    servers = request.param == "servers"
    with ExitStack() as stack:
        broker = stack.enter_context(own_broker("rabbitmq" if servers else "redis"))
        urls = {
            name: stack.enter_context(postgresql_database(name.lower())) if servers else f"sqlite:///{tmp_path / name}"
            for name in NAMES
        }
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "app_common")]),
            "CELERY_BROKER": broker.url,
            "CELERY_VISIBILITY_TIMEOUT_SECONDS": "2",
            **{f"{name}_DATABASE_URL": url for name, url in urls.items()},
        }
        shop = Shop(environment, tmp_path)
        for engine in shop.engines.values():
            stack.callback(engine.dispose)
        stack.callback(shop.kill_all)
        yield shop


def test_an_event_starts_a_saga_whose_end_is_an_event_that_is_handled(shop: Shop) -> None:
    shop.start_all([TILL, OFFICE, BOOKS])
    shop.tell_of_orders(20)
    shop.wait_for_the_end(20)
    assert shop.sagas() == [(order_id, "succeeded") for order_id in range(20)]
    assert shop.noted() == list(range(20))


def test_an_orchestrator_that_is_killed_starts_one_saga_for_each_event_all_the_same(shop: Shop) -> None:
    shop.tell_of_orders(300)
    shop.start(OFFICE)
    shop.wait_until(lambda: len(shop.sagas()) > 0, END_SECONDS, shop.all_logs)
    shop.kill(OFFICE)
    shop.start_all([TILL, OFFICE, BOOKS])
    shop.kill(OFFICE)
    shop.start(OFFICE)
    shop.wait_for_the_end(300)
    assert shop.sagas() == [(order_id, "succeeded") for order_id in range(300)]
    assert shop.noted() == list(range(300))
