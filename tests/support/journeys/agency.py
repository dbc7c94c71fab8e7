from sagas_framework import create_participant
from sagas_framework.environment import read_broker, read_database_url
from tests.support.journeys import messages
from tests.support.journeys.handlers import handlers

participant = create_participant(
    "agency", broker=read_broker(), database_url=read_database_url("TOY"), queue=messages.QUEUE, handlers=[handlers]
)
app = participant.app
