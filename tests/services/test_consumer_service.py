from collections.abc import Callable

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from consumer_service import models, prepare_database
from consumer_service.handlers import ConsumerSuspended, UnknownConsumer, verify_consumer_details
from consumer_service.models import Consumer
from messaging.consumer_service_messaging.verify_consumer_details_message import Payload
from sagas_framework import HandlerContext
from tests.services.doubles import StepMaker


@pytest.fixture
def create_tables() -> Callable[[Engine], None]:
    return prepare_database.prepare


@pytest.fixture
def step(step_with: StepMaker) -> HandlerContext:
    return step_with()


@pytest.mark.parametrize("consumer_id", [50, 73, 100])
def test_an_active_consumer_may_order(step: HandlerContext, consumer_id: int) -> None:
    verify_consumer_details(Payload(consumer_id), step)


@pytest.mark.parametrize("consumer_id", [1, 49])
def test_a_suspended_consumer_is_refused_by_name(step: HandlerContext, consumer_id: int) -> None:
    with pytest.raises(ConsumerSuspended, match=f"Consumer {consumer_id} "):
        verify_consumer_details(Payload(consumer_id), step)


@pytest.mark.parametrize("consumer_id", [-1, 0, 101])
def test_a_consumer_nobody_knows_is_refused(step: HandlerContext, consumer_id: int) -> None:
    with pytest.raises(UnknownConsumer, match=f"no consumer {consumer_id}$"):
        verify_consumer_details(Payload(consumer_id), step)


def test_preparing_twice_leaves_a_hundred_consumers_and_keeps_what_was_changed(
    engine: Engine, session: Session
) -> None:
    changed = session.get_one(Consumer, 1)
    changed.status = models.ConsumerStatus.ACTIVE.value
    session.commit()

    prepare_database.prepare(engine)

    session.expire_all()
    assert session.scalar(select(func.count()).select_from(Consumer)) == 100
    assert session.get_one(Consumer, 1).status == "active"
