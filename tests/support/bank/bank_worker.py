import os

from sagas_framework import create_participant
from tests.support.bank import handlers_of_bank
from tests.support.events import Moved

participant = create_participant(
    "bank",
    broker=os.environ["CELERY_BROKER"],
    database_url=os.environ["BANK_DATABASE"],
    queue=handlers_of_bank.QUEUE,
    handlers=[handlers_of_bank],
    publishes=[Moved],
)
app = participant.app
