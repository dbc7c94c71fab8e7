"""Who sends what to whom, before it has a form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

NOBODY_RECEIVES = "nobody here receives this"
NOBODY_SENDS = "nobody here sends this"
NOBODY_SUBSCRIBES = "nobody subscribes to this"
UNKNOWN_QUEUE = "a queue that is not named"
NO_QUEUE = "no queue"


@dataclass(frozen=True)
class Service:
    number: int  # titles may be the same
    title: str
    version: str
    sends: bool
    receives: bool
    publishes: bool = False
    handles: bool = False

    @property
    def role(self) -> str:
        """The pattern's words: who sends commands because of events is a process manager."""
        *others, last = self._roles or ["neither sends nor receives"]
        return f"{', '.join(others)} and {last}" if others else last

    @property
    def _roles(self) -> list[str]:
        managing = self.sends and self.handles
        roles = {
            "process manager": managing,
            "orchestrator": self.sends and not managing,
            "participant": self.receives,
            "subscriber": self.handles and not managing,
            "publisher": self.publishes,
        }
        return [role for role, is_one in roles.items() if is_one]


@dataclass(frozen=True)
class Message:
    name: str
    title: str
    replies: tuple[str, ...]
    disputes: tuple[str, ...]  # what its sender and its receiver say differently

    @property
    def answers(self) -> str:
        return ", ".join(in_short(reply, self.name) for reply in self.replies)


def in_short(reply: str, command: str) -> str:
    """`create_ticket.response.success` is the `success` of `create_ticket`."""
    return reply.removeprefix(command).removeprefix(".response").removeprefix(".") or reply


@dataclass(frozen=True)
class Flow:
    """The messages from one service to another through one queue, answered to one other. None: nobody we know of.
    `are_events`: they are answered with receipts."""

    sender: Service | None
    receiver: Service | None
    queue: str
    reply_queue: str  # empty: not awaited, or only the command says where
    are_events: bool
    messages: tuple[Message, ...]

    @property
    def hole(self) -> str:
        if self.are_events and self.queue == NO_QUEUE:
            return NOBODY_SUBSCRIBES
        return NOBODY_RECEIVES if self.receiver is None else NOBODY_SENDS if self.sender is None else ""

    @property
    def disputed(self) -> bool:
        return any(message.disputes for message in self.messages)

    @property
    def ends(self) -> tuple[str, str]:
        """From whom, and to whom."""
        return (
            self.sender.title if self.sender else f"({NOBODY_SENDS})",
            self.receiver.title if self.receiver else f"({self.hole})",
        )

    def answered(self, message: Message) -> str:
        """Which replies there are, and where they go."""
        return self.answer(message)[0]

    def answer(self, message: Message) -> tuple[str, bool]:
        """The same, and whether there is one."""
        if self.are_events:
            return ("receipts", True) if self.queue != NO_QUEUE else ("no receipts", False)
        if not message.replies:
            return "no answer awaited", False
        return f"{message.answers} to {self.reply_queue}" if self.reply_queue else message.answers, True


@dataclass(frozen=True)
class SystemMap:
    services: tuple[Service, ...]
    flows: tuple[Flow, ...]

    @cached_property
    def pairs(self) -> list[list[Flow]]:
        """All that goes from one service to one other, in the order in which they were found; events apart from
        commands, and what nobody subscribes to apart from what nobody here receives."""
        pairs: dict[tuple[Service | None, Service | None, bool, str], list[Flow]] = {}
        for flow in self.flows:
            pairs.setdefault((flow.sender, flow.receiver, flow.are_events, flow.hole), []).append(flow)
        return list(pairs.values())

    @property
    def has_events(self) -> bool:
        return any(flow.are_events for flow in self.flows)

    @property
    def summary(self) -> str:
        messages = [(flow, message) for flow in self.flows for message in flow.messages]
        unheard = [message for flow, message in messages if flow.hole == NOBODY_RECEIVES]
        unwanted = [message for flow, message in messages if flow.hole == NOBODY_SUBSCRIBES]
        unsaid = [message for flow, message in messages if flow.sender is None]
        disputed = [message for _, message in messages if message.disputes]
        troubles = [
            (unheard, "that nobody here receives"),
            (unwanted, "that nobody subscribes to"),
            (unsaid, "that nobody here sends"),
            (disputed, "on which sender and receiver do not agree"),
        ]
        told = "".join(f", {len(found)} {trouble}" for found, trouble in troubles if found)
        names = {(flow.queue, message.name) for flow, message in messages}
        return f"{_counted(self.services, 'service')}, {_counted(names, 'message')}{told}."

    def sentences(self) -> Iterator[str]:
        """The whole map, for those who do not see the picture."""
        yield self.summary
        for flow in self.flows:
            names = ", ".join(message.name for message in flow.messages)
            sender, receiver = flow.ends
            yield f"{sender} to {receiver}, through {flow.queue}: {names}."


def _counted(things: Sequence[object] | set[tuple[str, str]], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
