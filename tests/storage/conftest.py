"""The framework's tables and the application's, and one orchestrator on them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.support import databases, sagas
from tests.support.kitchen import Kitchen
from tests.support.orchestration import Bench
from tests.support.sagas import OrderSaga, QuietSaga, app_metadata


@pytest.fixture(autouse=True)
def no_hooks_left() -> Iterator[None]:
    sagas.hooks.clear()
    yield
    sagas.hooks.clear()


@pytest.fixture
def engine(engine: Engine) -> Engine:
    app_metadata.create_all(engine)
    return engine


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(engine, OrderSaga, QuietSaga)


@pytest.fixture
def kitchen(engine: Engine, mode: str) -> Kitchen:
    """`mode` is a fixture of each module that uses a kitchen."""
    return Kitchen(engine, mode)


@pytest.fixture
def postgresql_kitchen(postgresql_engine: Engine, mode: str) -> Kitchen:
    return Kitchen(postgresql_engine, mode)


@pytest.fixture
def sqlite_kitchen(sqlite_engine: Engine, mode: str) -> Kitchen:
    return Kitchen(sqlite_engine, mode)


@pytest.fixture
def postgresql_engine(postgresql_url: str) -> Iterator[Engine]:
    with databases.opened(postgresql_url) as engine:
        app_metadata.create_all(engine)
        yield engine


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[Engine]:
    with databases.opened(f"sqlite:///{tmp_path / 'sagas.sqlite3'}") as engine:
        app_metadata.create_all(engine)
        yield engine
