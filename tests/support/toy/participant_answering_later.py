from sagas_framework import create_participant
from sagas_framework.environment import read_broker, read_database_url
from tests.support.toy import answering_later, messages

participant = create_participant(
    "toy", broker=read_broker(), database_url=read_database_url("TOY"), queue=messages.QUEUE, handlers=[answering_later]
)
app = participant.app
