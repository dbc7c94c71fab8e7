from dataclasses import dataclass

from sagas_framework import Command, HandlerContext, handles
from tests.support.events import Moved

QUEUE = "bank.commands"


@dataclass(frozen=True)
class Move:
    account: str
    amount: int


MOVE = Command("bank.move", QUEUE, Move)


@handles(MOVE)
def move(payload: Move, step: HandlerContext) -> None:
    step.publish(Moved(payload.account, payload.amount))
