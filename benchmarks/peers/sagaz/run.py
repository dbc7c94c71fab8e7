"""sagaz: the sagas run as coroutines in the event loop of the process that starts them."""

import argparse
import asyncio
import sys
import threading
import traceback
from collections.abc import Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from create_order import Mode
from create_order_saga import CreateOrders
from measured_run import NONE, Unsupported, arguments, measured_run
from reports import UnexpectedReport
from sagaz import SagaConfig
from sagaz.core.storage.backends.memory import InMemorySagaStorage
from sagaz.core.storage.backends.postgresql import PostgreSQLSagaStorage
from sagaz.core.storage.backends.sqlite import SQLiteSagaStorage
from sagaz.core.types import SagaStatus
from services import MemoryServices, PostgresqlServices, Services, SqliteServices

PEER = "sagaz"
EXPECTED_STATUS = {Mode.FORWARD: SagaStatus.COMPLETED, Mode.COMPENSATING: SagaStatus.ROLLED_BACK}

T = TypeVar("T")


class EventLoop:
    """An event loop in a thread of its own, so that the sagas run while others are being started."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def start(self, work: Coroutine[Any, Any, object]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).add_done_callback(_tell_failure)

    def result_of(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _tell_failure(work: Future[object]) -> None:
    if failure := work.exception():
        print("".join(traceback.format_exception(failure)), file=sys.stderr)


def main() -> None:
    parser = arguments(PEER)
    parser.add_argument("--concurrency", type=int, default=16, help="sagas that run at a time")
    options = parser.parse_args()
    with measured_run(options) as run:
        if options.broker != NONE:
            raise Unsupported("sagaz runs its steps in process and needs no broker")
        loop = EventLoop()
        storage = storage_of(options)
        services = loop.result_of(services_of(options))
        try:
            # Its pool is made on first use and without a lock: of many first users each would make one.
            loop.result_of(storage.list_sagas())
            config = SagaConfig(storage=storage, metrics=False, logging=False)
            sagas = CreateOrders(config, services, options.mode, options.concurrency)
            measurement = run.measure(lambda saga_id: loop.start(sagas.run(saga_id)))
            loop.result_of(check_that_all_were_kept(storage, options))
        finally:
            loop.result_of(services.close())
    measurement.print(PEER, settings(options))


def storage_of(options: argparse.Namespace) -> Any:
    kind, address = database_of(options)
    if kind == "postgresql":
        return PostgreSQLSagaStorage(address, options.concurrency, options.concurrency)
    return SQLiteSagaStorage(address) if kind == "sqlite" else InMemorySagaStorage()


async def services_of(options: argparse.Namespace) -> Services:
    kind, address = database_of(options)
    if kind == "postgresql":
        return await PostgresqlServices.opened(address, options.concurrency)
    return await SqliteServices.opened(Path(f"{address}.services")) if kind == "sqlite" else MemoryServices()


def database_of(options: argparse.Namespace) -> tuple[str, str]:
    """The kind of database, and how the drivers of sagaz call it."""
    scheme, _, rest = options.database.partition("://")
    if scheme == NONE:
        return NONE, ""
    kind = scheme.partition("+")[0]
    return kind, rest.removeprefix("/") if kind == "sqlite" else f"{kind}://{rest}"


async def check_that_all_were_kept(storage: Any, options: argparse.Namespace) -> None:
    """sagaz only logs it when it cannot keep a saga's state, and goes on."""
    expected = EXPECTED_STATUS[options.mode]
    kept = await storage.list_sagas(status=expected, limit=options.warm_up + options.sagas)
    if len(kept) != options.warm_up + options.sagas:
        raise UnexpectedReport(f"sagaz keeps {len(kept)} sagas as {expected.value}")


def settings(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "storage": database_of(options)[0].replace(NONE, "memory"),
        "concurrency": options.concurrency,
        "metrics_and_logging_listeners": False,
    }


if __name__ == "__main__":
    main()
