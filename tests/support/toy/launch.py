"""`python -m tests.support.toy.launch JSON`: starts sagas with these data, all in one transaction."""

import json
import sys

from sagas_framework import upgrade_database
from tests.support.toy.orchestrator import ToyData, ToySaga, orchestrator
from tests.support.toy.participant import participant

if __name__ == "__main__":
    for engine in (orchestrator.engine, participant.engine):
        if engine is not None:
            upgrade_database(engine)
    with orchestrator.sessions.begin() as session:
        for data in json.loads(sys.argv[1]):
            orchestrator.start(ToySaga, ToyData(**data), session=session)
