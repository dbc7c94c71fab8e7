"""Brokers whose queues a test has for itself."""

from collections.abc import Iterator

import pytest

from sagas_framework import Broker
from tests.support.own_brokers import own_broker
from tests.support.servers import rabbitmq_vhost


@pytest.fixture
def rabbitmq() -> Iterator[Broker]:
    """A test that asks for it carries the mark `rabbitmq`."""
    with rabbitmq_vhost() as url:
        yield Broker(url)


@pytest.fixture
def redis() -> Iterator[Broker]:
    with own_broker("redis") as broker:
        yield Broker(broker.url)


@pytest.fixture(
    params=[pytest.param("redis", marks=pytest.mark.redis), pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)]
)
def broker(request: pytest.FixtureRequest) -> Broker:
    """The test runs once on Redis and once on RabbitMQ."""
    found: Broker = request.getfixturevalue(request.param)
    return found
