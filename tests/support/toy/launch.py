"""`python -m tests.support.toy.launch SAGA JSON`: starts sagas with these data, all in one transaction."""

import json
import sys

from sagas_framework import upgrade_database
from tests.support.toy.orchestrator import SAGAS, ToyData, orchestrator
from tests.support.toy.participant import participant

if __name__ == "__main__":
    for engine in (orchestrator.engine, participant.engine):
        if engine is not None:
            upgrade_database(engine)
    [saga] = [saga for saga in SAGAS if saga.name == sys.argv[1]]
    with orchestrator.sessions.begin() as session:
        for data in json.loads(sys.argv[2]):
            orchestrator.start(saga, ToyData(**data), session=session)
