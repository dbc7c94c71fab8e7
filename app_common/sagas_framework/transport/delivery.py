"""One message as it was delivered."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

from sagas_framework.vocabulary.correlation import HEADER, Correlation
from sagas_framework.vocabulary.text import storable

logger = logging.getLogger(__name__)


class Delivery:
    """One message as it was delivered, acknowledged through the channel that it came on."""

    def __init__(self, message: Any) -> None:
        self._message = message
        headers = message.headers
        self.headers: dict[str, Any] = headers if isinstance(headers, dict) else {}
        self.body: bytes | str = message.body
        self.content_type: str | None = message.content_type
        self.tried_before = False

    @property
    def tag(self) -> Any:
        """What the broker calls this delivery of it."""
        return self._message.delivery_tag

    @property
    def task(self) -> str:
        return storable(str(self.headers.get("task")))

    @property
    def message_id(self) -> str:
        return storable(str(self.headers.get("id"))[:255])

    @property
    def queue(self) -> str | None:
        routing_key = (self._message.delivery_info or {}).get("routing_key")
        return None if routing_key is None else str(routing_key)

    @property
    def redelivered(self) -> bool:
        return bool((self._message.delivery_info or {}).get("redelivered"))

    @property
    def suspect(self) -> bool:
        """Whether an earlier copy of it may have killed its worker: it was delivered, asked for or sent before."""
        header = self.headers.get(HEADER)  # a command's, a reply's or an event's
        return self.redelivered or (isinstance(header, dict) and header.get("again") is True)

    @cached_property
    def correlation(self) -> Correlation | None:
        return Correlation.from_headers(self.headers)

    def text(self) -> str:
        return self.body if isinstance(self.body, str) else bytes(self.body).decode(errors="replace")

    def acknowledge(self, errors: tuple[type[BaseException], ...], *, multiple: bool = False) -> None:
        """`multiple`: and with it all that came before it on its channel."""
        self._message.ack_log_error(logger, errors, multiple=multiple)

    def give_back(self, errors: tuple[type[BaseException], ...]) -> None:
        self._message.reject_log_error(logger, errors, requeue=True)
