"""Somebody who has a service's AsyncAPI document and nothing else of ours: no framework, no Celery, no kombu."""

import base64
import copy
import json
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import amqp
import jsonschema
import redis
import yaml

Headers = dict[str, Any]
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Message:
    headers: Headers
    body: Any
    acknowledge: Callable[[], None] = lambda: None

    @property
    def name(self) -> str:
        name: str = self.headers["task"]
        return name

    @property
    def payload(self) -> Any:
        return self.body[0][1]

    def naming(self, **sagas: Any) -> "Message":
        """The same, with other words in the header `sagas`; None takes a word away."""
        told = {word: value for word, value in (self.headers["sagas"] | sagas).items() if value is not None}
        return Message(self.headers | {"sagas": told}, self.body)


class Contract:
    """A document, read from disk."""

    def __init__(self, path: Path) -> None:
        self._document = yaml.safe_load(path.read_text(encoding="utf-8"))

    def channel(self, command: str) -> Any:
        return self._at(self._document["operations"][command]["channel"])

    def reply_queue(self, command: str) -> str | None:
        """Where answers are awaited; None: where the command says."""
        address: str | None = self._at(self._document["operations"][command]["reply"]["channel"])["address"]
        return address

    def named_reply_queue(self, command: Message) -> str:
        """What the runtime expression of the reply's address yields."""
        location: str = self._document["operations"][command.name]["reply"]["address"]["location"]
        source, _, pointer = location.partition("#/")
        assert source == "$message.header"
        value: Any = command.headers
        for part in pointer.split("/"):
            value = value[part]
        assert isinstance(value, str)
        return value

    def command(self, name: str, **payload: Any) -> Message:
        """Made of the document's example: of a saga of its own, under an id of its own."""
        message = self._example(name, payload)
        saga, own_id = str(uuid.uuid4()), str(uuid.uuid4())
        message.headers.update(id=own_id, root_id=own_id)
        message.body[0][0] = saga
        return message.naming(saga=saga)

    def answer(self, command: Message, payload: Any = None, *, failed: str | None = None) -> Message:
        """`failed`: the kind of failure."""
        outcome = "failure" if failed else "success"
        message = self._example(f"{command.name}.response.{outcome}", payload)
        own_id, asked = str(uuid.uuid4()), command.headers["id"]
        message.headers.update(id=own_id, root_id=own_id, parent_id=asked, sagas=command.headers["sagas"])
        message.body[0][0] = command.body[0][0]
        return message.naming(reply_queue=None, in_reply_to=asked, failure_kind=failed)

    def event(self, name: str, key: str, number: int, /, **payload: Any) -> Message:
        """Made of the document's example: what it is about, and the how manyth of that it is."""
        message = self._example(name, payload)
        about, _, _ = message.headers["sagas"]["aggregate"].partition("=")
        own_id = str(uuid.uuid4())
        message.headers.update(id=own_id, root_id=own_id)
        message.body[0][0] = key
        return message.naming(aggregate=f"{about}={key}", number=number)

    def receipts(self, queue: str, *events: Message) -> Message:
        """`queue`: from which the events were taken."""
        message = self._example("sagas.receipts", {"received": [event.headers["id"] for event in events]})
        own_id = str(uuid.uuid4())
        message.headers.update(id=own_id, root_id=own_id)
        message.body[0][0] = queue
        return message

    def problems(self, message: Message) -> list[str]:
        """What of a message the document does not allow."""
        found: list[str] = []
        for part, value in (("headers", message.headers), ("payload", message.body)):
            reference = {"$ref": f"#/components/messages/{message.name}/{part}"}
            schema = {"allOf": [reference], "components": self._document["components"]}
            checker = jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker())
            found += [f"{part}: {error.message}" for error in checker.iter_errors(value)]
        return found

    def required_headers(self, name: str) -> set[str]:
        headers = self._document["components"]["messages"][name]["headers"]
        return {word for schema in (headers, *map(self._at, headers["allOf"])) for word in schema.get("required", ())}

    def _example(self, name: str, payload: Any) -> Message:
        example = copy.deepcopy(self._document["components"]["messages"][name]["examples"][0])
        if isinstance(payload, dict):
            example["payload"][0][1].update(payload)
        return Message(example["headers"], example["payload"])

    def _at(self, reference: Any) -> Any:
        found = self._document
        for part in reference["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return found


class Broker(Protocol):
    """As the part "On the wire" of a document describes it."""

    def declare(self, channel: Any) -> None: ...
    def send(self, queue: str, message: Message) -> None: ...
    def receive(self, queues: Sequence[str]) -> Message:
        """The next one; a test that waits too long fails."""

    def close(self) -> None: ...


class OnRabbitMQ:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        virtual_host = unquote(parts.path.removeprefix("/"))
        self._connection = amqp.Connection(
            parts.netloc.rpartition("@")[2], parts.username, parts.password, virtual_host=virtual_host
        )
        self._connection.connect()
        self._channel = self._connection.channel()
        self._consumed: set[str] = set()
        self._received: deque[Any] = deque()

    def declare(self, channel: Any) -> None:
        queue = channel["bindings"]["amqp"]["queue"]
        self._channel.queue_declare(
            queue["name"], durable=queue["durable"], exclusive=queue["exclusive"], auto_delete=queue["autoDelete"]
        )

    def send(self, queue: str, message: Message) -> None:
        content = amqp.Message(
            json.dumps(message.body).encode(),
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode=2,
            correlation_id=message.headers["id"],
            application_headers=message.headers,
        )
        self._channel.basic_publish(content, exchange="", routing_key=queue, mandatory=True)

    def receive(self, queues: Sequence[str]) -> Message:
        for queue in set(queues) - self._consumed:
            self._channel.queue_declare(queue, durable=True, auto_delete=False)
            self._channel.basic_consume(queue, callback=self._received.append)
            self._consumed.add(queue)
        while not self._received:
            self._connection.drain_events(timeout=PATIENCE_SECONDS)
        content = self._received.popleft()
        assert content.properties["content_type"] == "application/json"
        tag = content.delivery_info["delivery_tag"]
        return Message(content.headers, json.loads(content.body), lambda: self._channel.basic_ack(tag))

    def close(self) -> None:
        self._connection.close()


class OnRedis:
    def __init__(self, url: str) -> None:
        self._client = redis.Redis(unix_socket_path=unquote(urlsplit(url).path))

    def declare(self, channel: Any) -> None:
        assert channel["bindings"]["redis"] == {}  # a list is there as soon as something is in it

    def send(self, queue: str, message: Message) -> None:
        element = {
            "body": base64.b64encode(json.dumps(message.body).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": message.headers,
            "properties": {
                "body_encoding": "base64",
                "correlation_id": message.headers["id"],
                "delivery_info": {"exchange": "", "routing_key": queue},
                "delivery_mode": 2,
                "delivery_tag": str(uuid.uuid4()),
                "priority": 0,
            },
        }
        self._client.lpush(queue, json.dumps(element))

    def receive(self, queues: Sequence[str]) -> Message:
        popped: Any = self._client.brpop(list(queues), timeout=PATIENCE_SECONDS)
        assert popped is not None, f"nothing came to {queues}"
        element = json.loads(popped[1])
        return Message(element["headers"], json.loads(base64.b64decode(element["body"])))

    def close(self) -> None:
        self._client.close()


def connected_to(url: str) -> Broker:
    return OnRabbitMQ(url) if url.startswith("amqp") else OnRedis(url)
