"""Databases in memory and steps without a broker, for handlers tested as the plain functions they are."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from sagas_framework import HandlerContext
from tests.services.doubles import SAGA_ID, StepMaker


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine, create_tables: Callable[[Engine], None]) -> Iterator[Session]:
    """On the tables of the service under test: its module says which, in a fixture `create_tables`."""
    create_tables(engine)
    with Session(engine) as session:
        yield session


@pytest.fixture
def step_with(session: Session) -> StepMaker:
    def step(attempt: int = 1, reply: dict[str, Any] | None = None) -> HandlerContext:
        return HandlerContext(saga_id=SAGA_ID, step="a_step", attempt=attempt, session=session, reply=reply)

    return step
