"""The map of a system: who is found to speak to whom, what is missing, and that every form shows all of it."""

import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagas_framework.asyncapi.document import Document
from sagas_framework.asyncapi.system_map import Flow, system_map, to_mermaid, to_svg, to_text
from sagas_framework.asyncapi.system_map.plan import plan
from tests.support.documents import (
    ANSWERS,
    Exchange,
    Schema,
    document,
    event_headers,
    publishes,
    receipts,
    receives,
    sends,
    subscribes,
)

ORDER = document(
    "Order service",
    sends("kitchen.cook", "kitchen.commands", "orders", title="Cook a meal"),
    sends("kitchen.throw_away", "kitchen.commands", "orders"),
    sends("bank.pay", "bank.commands", "orders"),
)
KITCHEN = document(
    "Kitchen", receives("kitchen.cook", "kitchen.commands"), receives("kitchen.throw_away", "kitchen.commands")
)
BANK = document("Bank", receives("bank.pay", "bank.commands"))
SYSTEM = (ORDER, KITCHEN, BANK)


def told(flow: Flow) -> tuple[str | None, str | None, str, str, list[str]]:
    sender, receiver = (service.title if service else None for service in (flow.sender, flow.receiver))
    return sender, receiver, flow.queue, flow.reply_queue, [message.name for message in flow.messages]


def flows(*documents: Document) -> list[tuple[str | None, str | None, str, str, list[str]]]:
    return [told(flow) for flow in system_map(documents).flows]


def disputes(sent: Exchange, received: Exchange, ours: Schema | None = None, theirs: Schema | None = None) -> list[str]:
    """What a sender and a receiver do not agree on, when each has such schemas beside the message."""
    found = system_map([document("A", sent, schemas=ours), document("B", received, schemas=theirs)])
    (flow,) = found.flows
    (message,) = flow.messages
    return list(message.disputes)


# ---- who speaks to whom -------------------------------------------------------------------------------------------


def test_a_command_is_drawn_from_who_sends_it_to_who_receives_it_with_the_queue_of_the_answer() -> None:
    assert flows(*SYSTEM) == [
        ("Order service", "Kitchen", "kitchen.commands", "orders", ["kitchen.cook", "kitchen.throw_away"]),
        ("Order service", "Bank", "bank.commands", "orders", ["bank.pay"]),
    ]
    assert system_map(SYSTEM).summary == "3 services, 3 messages."


def test_the_same_name_in_another_queue_is_another_message() -> None:
    assert flows(document("A", sends("cook", "kitchen")), document("B", receives("cook", "canteen"))) == [
        ("A", None, "kitchen", "replies", ["cook"]),
        (None, "B", "canteen", "", ["cook"]),
    ]


def test_what_nobody_receives_and_what_nobody_sends_is_drawn_as_a_hole() -> None:
    lonely = document("Kitchen", receives("kitchen.cook", "kitchen.commands"), receives("kitchen.close", "k"))
    found = system_map([ORDER, lonely])
    assert [(flow.hole, *told(flow)[4]) for flow in found.flows] == [
        ("", "kitchen.cook"),
        ("nobody here receives this", "kitchen.throw_away"),
        ("nobody here receives this", "bank.pay"),
        ("nobody here sends this", "kitchen.close"),
    ]
    assert found.summary == "2 services, 4 messages, 2 that nobody here receives, 1 that nobody here sends."
    for picture in (to_text, to_mermaid, to_svg):
        drawn = picture([ORDER, lonely])
        assert "nobody here sends this" in drawn and "nobody here receives this" in drawn, picture


def test_two_that_send_the_same_each_have_their_own_arrow() -> None:
    assert flows(
        document("A", sends("cook", "k", "a")),
        document("B", sends("cook", "k", "b")),
        document("C", receives("cook", "k")),
    ) == [("A", "C", "k", "a", ["cook"]), ("B", "C", "k", "b", ["cook"])]


def test_two_services_of_the_same_title_stay_two() -> None:
    found = system_map([document("Twin", sends("cook", "k")), document("Twin", receives("cook", "k"))])
    assert [(service.title, service.role) for service in found.services] == [
        ("Twin", "orchestrator"),
        ("Twin", "participant"),
    ]
    assert len(re.findall(r'class="sd-service', to_svg([ORDER, ORDER]))) == 2


def test_a_command_that_nobody_awaits_an_answer_to_is_no_dispute() -> None:
    assert disputes(sends("note", "k", None), receives("note", "k")) == []
    text = to_text([document("A", sends("note", "k", None)), document("B", receives("note", "k"))])
    assert "no answer" in text and "answered to" not in text


def test_an_operation_may_use_only_some_messages_of_its_channel() -> None:
    several = document("A", sends("cook", "k"), sends("bake", "k"))
    channel = several["channels"]["cook"]["messages"]
    channel["bake"] = several["channels"]["bake"]["messages"]["bake"]
    (operation, _) = several["operations"].values()
    operation["messages"] = [{"$ref": "#/channels/cook/messages/bake"}]
    assert [names for *_, names in flows(several)] == [["bake"]]


# ---- what sender and receiver do not agree on ---------------------------------------------------------------------


def test_another_payload_is_marked_on_the_arrow() -> None:
    sent, received = sends("cook", "k", payload={"type": "string"}), receives("cook", "k")
    assert disputes(sent, received) == ["its receiver describes another payload"]
    documents = [document("A", sent), document("B", received)]
    for picture in (to_text, to_mermaid, to_svg):
        assert "its receiver describes another payload" in picture(documents), picture
    assert "1 on which sender and receiver do not agree" in to_text(documents)


def test_schemas_are_compared_by_what_they_say_wherever_it_stands_and_however_it_is_called() -> None:
    number, meal = {"type": "integer"}, {"$ref": "#/components/schemas/Meal"}
    inline = {"type": "object", "title": "Order", "properties": {"title": number, "price": number}}
    component: Schema = {
        "type": "object",
        "properties": {"price": number, "title": {**number, "description": "of a book"}},
    }
    sent = sends("cook", "k", payload={**inline, "required": ["title", "price"]})
    component["required"] = ["price", "title"]
    assert disputes(sent, receives("cook", "k", payload=meal), theirs={"Meal": component}) == []
    del component["properties"]["title"]
    assert disputes(sent, receives("cook", "k", payload=meal), theirs={"Meal": component}) != []


def test_schemas_that_refer_to_themselves_are_compared_as_well() -> None:
    def tree(name: str, leaf: str) -> Schema:
        branches = {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}
        return {name: {"type": "object", "properties": {"branches": branches, "leaf": {"type": leaf}}}}

    sent = sends("grow", "k", payload={"$ref": "#/components/schemas/Tree"})
    received = receives("grow", "k", payload={"$ref": "#/components/schemas/Plant"})
    assert disputes(sent, received, tree("Tree", "string"), tree("Plant", "string")) == []
    assert disputes(sent, received, tree("Tree", "string"), tree("Plant", "integer")) != []


def test_what_stands_in_other_files_is_compared_by_its_name() -> None:
    sent, other = {"$ref": "meals.yaml#/Meal"}, {"$ref": "meals.yaml#/Soup"}
    assert disputes(sends("cook", "k", payload=sent), receives("cook", "k", payload=dict(sent))) == []
    assert disputes(sends("cook", "k", payload=sent), receives("cook", "k", payload=other)) != []


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ({"failure": ANSWERS["failure"]}, "success is awaited, and never sent"),
        ({**ANSWERS, "later": {}}, "later is sent, and not expected"),
        ({**ANSWERS, "success": {"type": "string"}}, "its receiver describes another success"),
    ],
)
def test_other_replies_than_are_awaited_are_a_dispute(replies: dict[str, Schema], said: str) -> None:
    assert disputes(sends("cook", "k"), receives("cook", "k", replies=replies)) == [said]


# ---- events -------------------------------------------------------------------------------------------------------

USERS = document(
    "Users",
    receives("users.confirm", "users.commands"),
    publishes("users.registered", "mail.events", title="A user has registered"),
    publishes("users.registered", "books.events"),
    receipts("receive", "users.receipts"),
)
MAIL = document(
    "Mail",
    subscribes("users.registered", "mail.events"),
    receipts("send", "users.receipts"),
    sends("users.confirm", "users.commands", "mail.answers"),
)
BOOKS = document("Books", subscribes("users.registered", "books.events"), receipts("send", "users.receipts"))
WITH_EVENTS = (USERS, MAIL, BOOKS)


def test_an_event_is_drawn_to_each_of_its_subscribers_and_receipts_are_no_messages() -> None:
    found = system_map(WITH_EVENTS)
    assert [(flow.are_events, *told(flow)) for flow in found.flows] == [
        (True, "Users", "Mail", "mail.events", "", ["users.registered"]),
        (True, "Users", "Books", "books.events", "", ["users.registered"]),
        (False, "Mail", "Users", "users.commands", "mail.answers", ["users.confirm"]),
    ]
    assert found.summary == "3 services, 3 messages."


def test_what_a_service_is_called_follows_from_what_it_does_with_commands_and_events() -> None:
    assert [service.role for service in system_map(WITH_EVENTS).services] == [
        "participant and publisher",
        "process manager",
        "subscriber",
    ]
    several = document("All", sends("a", "a"), receives("b", "b"), publishes("c", "c"))
    assert [service.role for service in system_map([several]).services] == ["orchestrator, participant and publisher"]


def test_commands_and_events_between_the_same_two_are_drawn_apart() -> None:
    one = document("One", sends("do", "q"), publishes("done", "e"))
    other = document("Other", receives("do", "q"), subscribes("done", "e"))
    assert len(system_map([one, other]).pairs) == 2


def test_events_are_told_from_commands_in_every_form() -> None:
    assert "Users ..> Mail\n  events through mail.events\n" in to_text(WITH_EVENTS)
    assert re.search(r"users\.registered +receipts", to_text(WITH_EVENTS))
    drawn = to_mermaid(WITH_EVENTS)
    assert "s0 -.- c0" in drawn and "c0 -.-> s1" in drawn and "s1 --- c2" in drawn
    picture = to_svg(WITH_EVENTS)
    assert 'class="sd-edge sd-event"' in picture and "events; receipts come back" in texts(picture)
    assert "events; receipts come back" not in texts(to_svg(SYSTEM))


def test_an_event_that_nobody_subscribes_to_is_a_hole_of_its_own() -> None:
    found = system_map([document("Users", publishes("users.left", None)), document("Mail")])
    assert [flow.hole for flow in found.flows] == ["nobody subscribes to this"]
    assert found.summary == "2 services, 1 message, 1 that nobody subscribes to."
    lonely = [document("Users", publishes("users.left", None), publishes("users.moved", "books.events"))]
    assert len(system_map(lonely).pairs) == 2
    for picture in (to_text, to_mermaid, to_svg):
        drawn = picture(lonely)
        assert "nobody subscribes to this" in drawn and "nobody here receives this" in drawn, picture


@pytest.mark.parametrize(("source", "key"), [("others", "user_id"), ("users", "account_id")])
def test_another_source_or_key_is_a_dispute(source: str, key: str) -> None:
    sent = publishes("users.registered", "m", headers=event_headers("users", "user_id"))
    same = subscribes("users.registered", "m", headers=event_headers("users", "user_id"))
    assert disputes(sent, same) == []
    received = subscribes("users.registered", "m", headers=event_headers(source, key))
    assert disputes(sent, received) == ["its receiver expects another source or key"]


def test_another_payload_of_an_event_is_a_dispute() -> None:
    received = subscribes("users.registered", "m", payload={"type": "string"})
    assert disputes(publishes("users.registered", "m"), received) == ["its receiver describes another payload"]


# ---- the forms ----------------------------------------------------------------------------------------------------


def test_on_a_terminal_it_is_a_table_for_each_pair() -> None:
    assert to_text(SYSTEM).splitlines() == [
        "3 services, 3 messages.",
        "",
        "Order service -> Kitchen",
        "  through kitchen.commands, answered to orders",
        "    kitchen.cook        success, failure  Cook a meal",
        "    kitchen.throw_away  success, failure",
        "",
        "Order service -> Bank",
        "  through bank.commands, answered to orders",
        "    bank.pay            success, failure",
    ]


@pytest.mark.parametrize("picture", [to_text, to_mermaid, to_svg])
def test_services_that_say_nothing_are_drawn_all_the_same(picture: object) -> None:
    assert callable(picture)
    assert "0 services" in picture([])
    assert "1 service, 0 messages" in picture([{"info": {"title": "Quiet"}}])
    assert "1 service, 0 messages" in picture([{"info": 7, "operations": {"x": {"$ref": "#/operations/x"}, "y": []}}])


def test_the_svg_stands_alone_and_tells_the_whole_map_to_those_who_do_not_see_it() -> None:
    root = tree(to_svg(SYSTEM))
    assert {element.tag for element in root.iter()} <= TAGS
    for element in root.iter():
        assert not any(name.startswith("on") or "href" in name or name == "style" for name in element.attrib)
    described = root.findtext("desc") or ""
    assert "Order service to Kitchen, through kitchen.commands: kitchen.cook, kitchen.throw_away." in described
    assert root.get("role") == "img" and root.findtext("title")


def columns(*documents: Document) -> dict[str, int]:
    return {box.service.title: spot.column for box, spot in plan(system_map(documents)).boxes}


def test_whoever_sends_stands_left_of_whoever_receives() -> None:
    lonely = document("Lonely", receives("nothing", "of.nobody"))
    assert columns(*SYSTEM, lonely) == {"Order service": 0, "Kitchen": 2, "Bank": 2, "Lonely": 2}


def test_what_a_service_sends_to_itself_does_not_move_it() -> None:
    loop = document("Loop", sends("again", "k"), receives("again", "k"), sends("b", "b"))
    middle = document("Middle", receives("b", "b"), sends("c", "c"), sends("d", "d"), sends("e", "e"))
    last = [document(name.upper(), receives(name, name)) for name in "cde"]
    assert columns(middle, *last, loop) == {"Loop": 0, "Middle": 2, "C": 4, "D": 4, "E": 4}


def test_a_map_that_would_be_too_high_goes_to_both_sides_of_those_who_send() -> None:
    names = [f"service_{number}" for number in range(20)]
    sender = document("Sender", *(sends(f"{name}.do", name) for name in names))
    drawn = plan(system_map([sender, *(document(name, receives(f"{name}.do", name)) for name in names)]))
    columns = [spot.column for _, spot in drawn.boxes]
    assert columns.count(-2) == columns.count(2) == 10
    assert drawn.height < 1_100


def test_a_participant_that_sends_commands_itself_stands_between() -> None:
    chain = [
        document("Third", receives("c", "c")),
        document("First", sends("b", "b"), sends("c", "c")),
        document("Second", receives("b", "b"), sends("c", "c")),
    ]
    found = plan(system_map(chain))
    assert {box.service.title: spot.column for box, spot in found.boxes} == {"First": 0, "Second": 2, "Third": 4}
    assert max(len(line.spots) for line in found.lines) == 4  # past the second, in lanes of its own


def test_a_service_that_sends_to_itself_has_a_line_out_and_a_line_back() -> None:
    picture = to_svg([document("Loop", sends("again", "k"), receives("again", "k"))])
    begins = re.findall(r'class="sd-edge" d="M[\d.]+ ([\d.]+)C', picture)
    assert len(begins) == len(set(begins)) == 2


def test_what_does_not_fit_is_cut_and_told_whole_besides() -> None:
    long = "service_of_" + "very_" * 30 + "long_names"
    picture = to_svg([document(long, sends(f"{long}.do_{long}", long, long))])
    assert all(len(text) < 70 for text in texts(picture))
    assert int(tree(picture).get("width") or 0) < 800
    assert any(f"{long}.do_{long}" in (title.text or "") for title in tree(picture).iter("title"))


# ---- any system ---------------------------------------------------------------------------------------------------

TAGS = {"svg", "title", "desc", "style", "g", "rect", "path", "text", "tspan"}
NASTY = st.one_of(
    st.text(min_size=1, max_size=30),
    st.sampled_from(
        [
            'a"b',
            "end",
            "x]y[z",
            "<script>alert(1)</script>",
            "]]>",
            "{`;%%}",
            "1. one",
            "#35;",
            "旅館 🏨",
            "a|b",
            "a/b~c",
        ]
    ),
    st.sampled_from(["\x1b[31m", "\x00", "\ud800", "\u202e", "a\nb", " ", "."]),
)
LABEL = r'"(?:[^\W_]|[ ,…↩✔✖▶○⚠⊘._-]|#\d+;|<br/>)*"'
STATEMENT = re.compile(
    rf"s\d+\[{LABEL}\]|c\d+\({LABEL}\)|s\d+ (---|-\.-) c\d+|c\d+ (-->|-\.->) s\d+"
    r"|acc(?:Title|Descr): [\w.,:-][\w .,:-]*|classDef \w+ [\w#:,. -]+|class [\w,]+ \w+"
)


def tree(picture: str) -> ElementTree.Element:
    """The parsed SVG, its tags without the namespace."""
    root = ElementTree.fromstring(picture)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def texts(picture: str) -> list[str]:
    return ["".join(element.itertext()) for element in tree(picture).iter("text")]


@st.composite
def systems(draw: st.DrawFn) -> list[Document]:
    """Anybody may send anything to anybody, also to nobody and to themselves, and round in circles."""
    count = draw(st.integers(1, 6))
    someone = st.one_of(st.none(), st.integers(0, count - 1))
    exchanges: list[list[Exchange]] = [[] for _ in range(count)]
    for sender, receiver in draw(st.lists(st.tuples(someone, someone), max_size=14)):
        name, queue = draw(NASTY), draw(NASTY)
        if draw(st.booleans()):
            if sender is not None:
                exchanges[sender].append(publishes(name, draw(st.sampled_from([queue, None]))))
            if receiver is not None:
                exchanges[receiver].append(subscribes(name, queue))
            continue
        if sender is not None:
            exchanges[sender].append(sends(name, queue, draw(st.one_of(st.none(), NASTY)), title=draw(NASTY)))
        if receiver is not None:
            exchanges[receiver].append(receives(name, queue, payload=draw(st.sampled_from([{}, {"type": "null"}]))))
    return [document(draw(NASTY), *each) for each in exchanges]


@settings(max_examples=80)
@given(systems())
def test_any_system_is_drawn_whole_without_overlaps_and_no_name_breaks_out(documents: list[Document]) -> None:
    found = system_map(documents)
    drawn = plan(found)
    lanes = [spot for line in drawn.lines for spot in line.spots[1:-1]]
    spots = [*(spot for _, spot in drawn.boxes), *(spot for _, spot in drawn.cards), *lanes]
    for one, other in itertools.combinations(spots, 2):
        apart = abs(one.middle - other.middle) - (one.height + other.height) / 2
        assert one.column != other.column or apart > 1
    assert all(-0.01 <= spot.top and spot.middle + spot.height / 2 <= drawn.height + 0.01 for spot in spots)
    assert all(spot.column in drawn.columns for spot in spots)
    assert all(0 <= column.left <= column.left + column.width <= drawn.width for column in drawn.columns.values())
    assert len(drawn.boxes) == len(documents) and len(drawn.cards) == len(found.pairs)

    root = tree(to_svg(documents))
    assert {element.tag for element in root.iter()} <= TAGS
    assert to_svg(documents) == to_svg(documents)

    first, *statements = to_mermaid(documents).splitlines()
    assert first == "flowchart LR"
    for statement in statements:
        assert STATEMENT.fullmatch(statement.strip()), statement

    assert all(line.isprintable() for line in to_text(documents).splitlines())


@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["info", "title", "channels", "operations", "action", "reply", "messages", "address", "$ref", "a"]
                ),
                inner | st.sampled_from(["send", "#/channels/a", "#/operations/a"]),
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_stands_in_a_document_it_is_drawn(value: object) -> None:
    documents = [value] if isinstance(value, dict) else [{"operations": value, "channels": value}]
    for picture in (to_text, to_mermaid, to_svg):
        assert picture(documents)
