"""The framework's tables and the application's, and one orchestrator on them."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from tests.support import sagas
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
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:  # a test that waits for a lock for ever is a failed one
            connection.execute(text("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lock_timeout = ''20s''', "
                                    "current_database()); END $$"))  # fmt: skip
    return engine


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(engine, OrderSaga, QuietSaga)
