"""Plain handlers of events: what is wrong with them is said when the process starts."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from sagas_framework import Command, Event, EventContext, create_subscriber, handles
from sagas_framework.errors import ConfigurationError, ContradictoryMessages, DefinitionError
from sagas_framework.events.handlers import plain_handlers_in
from tests.support.events import CLOSED, LEDGER, MAIL, Booked, Closed, Moved, Opened


def module(*functions: Any, name: str = "ledger_service.handlers") -> ModuleType:
    made = ModuleType(name)
    for function in functions:
        function.__module__ = name
        setattr(made, function.__name__, function)
    return made


def subscriber(*modules: ModuleType, queue: str = LEDGER, **options: Any) -> Any:
    return create_subscriber(
        "ledger", broker="memory://", database_url="sqlite://", queue=queue, handlers=modules, **options
    )


def test_a_function_handles_all_the_events_that_stand_above_it() -> None:
    @handles(Opened)
    @handles(Moved)
    def write_down(event: Opened | Moved, context: EventContext) -> None: ...

    (handler,) = plain_handlers_in([module(write_down)])
    assert list(handler.events) == ["bank.opened", "bank.moved"]
    assert set(subscriber(module(write_down)).subscribes) == {"bank.opened", "bank.moved"}


def test_what_a_module_has_only_imported_is_not_called_twice() -> None:
    @handles(Opened)
    def write_down(event: Opened, context: EventContext) -> None: ...

    importing = module(name="ledger_service.others")

    @handles(Moved)
    def own(event: Moved, context: EventContext) -> None: ...

    home = module(write_down)
    own.__module__ = importing.__name__
    importing.__dict__.update(write_down=write_down, own=own)
    assert [list(one.events) for one in plain_handlers_in([home, importing])] == [["bank.opened"], ["bank.moved"]]


def test_a_function_that_is_there_twice_is_refused() -> None:
    @handles(Opened)
    def write_down(event: Opened, context: EventContext) -> None: ...

    home = module(write_down)
    said = r"ledger_service.handlers.*write_down \(.*test_plain_handlers.py:\d+\) is among the handlers twice \(in "
    with pytest.raises(ConfigurationError, match=said + r"\S+.write_down and in \S+.write_down\)"):
        subscriber(home, home)
    home.__dict__["alias"] = write_down
    with pytest.raises(ConfigurationError, match=said + r"\S+.write_down and in \S+.alias\)"):
        subscriber(home)


def test_a_module_without_handlers_and_a_subscriber_without_events_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"ledger_service.handlers holds no function with @handles"):
        subscriber(module())
    with pytest.raises(ConfigurationError, match="'ledger' handles no event"):
        subscriber()


def test_what_is_never_sent_to_its_queue_is_refused_with_the_way_out() -> None:
    @handles(Closed)
    def never(event: Closed, context: EventContext) -> None: ...

    with pytest.raises(ConfigurationError, match=r"published to nobody \(.*events.py:\d+\).*Add 'ledger.events'"):
        subscriber(module(never))

    @handles(Moved)
    def elsewhere(event: Moved, context: EventContext) -> None: ...

    with pytest.raises(ConfigurationError, match=r"published to 'ledger.events' .*Add 'mail.events'"):
        subscriber(module(elsewhere), queue=MAIL)


def test_the_words_of_process_managers_mean_nothing_above_a_function() -> None:
    words: list[dict[str, Any]] = [{"starts": "always"}, {"saga_key": "account"}, {"event_key": "account"}]
    for word in words:

        @handles(Opened, **word)
        def misled(event: Opened, context: EventContext) -> None: ...

        with pytest.raises(
            DefinitionError, match=r"misled \(.*py:\d+\) of 'bank.opened': saga_key, event_key and starts"
        ):
            plain_handlers_in([module(misled)])


def test_a_handler_takes_the_event_and_the_context() -> None:
    @handles(Opened)
    def short(event: Opened) -> None: ...

    with pytest.raises(DefinitionError, match=r"short .*must take \(event, context\), not \['event'\]"):
        plain_handlers_in([module(short)])


def test_an_annotation_that_says_another_event_is_refused() -> None:
    @handles(Opened)
    def wrong(event: Moved, context: EventContext) -> None: ...

    with pytest.raises(DefinitionError, match="'event' is annotated with Moved; the event is a Opened"):
        plain_handlers_in([module(wrong)])


def test_only_classes_of_events_and_commands_can_be_handled() -> None:
    class Nothing: ...

    for what in (Nothing, Booked("1", 2).amount):
        with pytest.raises(DefinitionError, match="is no event"):
            handles(what)  # type: ignore[arg-type]  # that is the point
    assert handles(Command("bank.move", "bank.commands", dict))


def test_an_event_declared_differently_on_either_side_is_refused_at_start() -> None:
    @dataclass(frozen=True)
    class Mine:
        account: int

    Event("bank.moved", source="bank", payload=Mine, key="account", subscribers=[LEDGER])

    @handles(Moved)
    def write_down(event: Moved, context: EventContext) -> None: ...

    with pytest.raises(ContradictoryMessages, match=r"'bank.moved' is declared at"):
        subscriber(module(write_down), publishes=[Mine])


def test_an_event_may_be_published_that_nobody_subscribes_to_yet() -> None:
    @handles(Opened)
    def write_down(event: Opened, context: EventContext) -> None: ...

    assert subscriber(module(write_down), publishes=[Closed]).publishes == {"bank.closed": CLOSED}
