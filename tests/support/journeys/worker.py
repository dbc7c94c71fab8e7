from sagas_framework import create_orchestrator
from sagas_framework.environment import read_broker, read_database_url, read_number
from tests.support.journeys.sagas import SAGAS

orchestrator = create_orchestrator(
    "journeys",
    broker=read_broker(),
    database_url=read_database_url("ORCHESTRATOR"),
    sagas=SAGAS,
    ask_again_after_seconds=read_number("JOURNEYS_ASK_AGAIN_AFTER_SECONDS", 1.0),
)
app = orchestrator.app
