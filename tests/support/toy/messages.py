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
