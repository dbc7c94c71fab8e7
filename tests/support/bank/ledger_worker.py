import os

from sagas_framework import create_subscriber
from tests.support.bank import handlers_of_ledger
from tests.support.events import LEDGER

app = create_subscriber(
    "ledger",
    broker=os.environ["CELERY_BROKER"],
    database_url=os.environ["LEDGER_DATABASE"],
    queue=LEDGER,
    handlers=[handlers_of_ledger],
).app
