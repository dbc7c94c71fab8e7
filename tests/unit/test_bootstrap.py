"""What is wired wrongly is refused while it is wired, with the names of what does not fit."""

import pytest

from restaurant_service import handlers
from sagas_framework import DefinitionError, create_orchestrator, create_participant
from sagas_framework.definition.saga import Saga
from sagas_framework.errors import ConfigurationError


def test_a_handler_whose_commands_go_to_another_queue_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"consumes 'bar.commands', but its handler create_ticket"):
        create_participant("bar", broker="memory://", database_url=None, queue="bar.commands", handlers=[handlers])


def test_a_saga_without_a_reply_queue_is_refused_with_its_name() -> None:
    class Homeless(Saga[dict]):  # type: ignore[type-arg]
        steps = ()

    with pytest.raises(DefinitionError, match="Homeless"):
        create_orchestrator("o", broker="memory://", database_url="sqlite://", sagas=[Homeless])


def test_a_broker_that_is_not_supported_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigurationError, match="begins with 'kafka'; supported are amqp"):
        create_participant("bar", broker="kafka://here", database_url=None, queue="bar.commands")
