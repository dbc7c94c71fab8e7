from dataclasses import dataclass

from sagas_framework import Command

QUEUE = "toy.commands"


@dataclass(frozen=True)
class Work:
    number: int
    kill_handler: bool


@dataclass(frozen=True)
class Done:
    number: int


work = Command("toy.work", queue=QUEUE, payload=Work, response=Done)
refuse = Command("toy.refuse", queue=QUEUE, payload=Work)
take_note = Command("toy.take_note", queue=QUEUE, payload=Work)
