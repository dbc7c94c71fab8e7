"""`python -m tests.support.toy.run SAGA JSON KEY`: runs a saga with these data and prints what it came to."""

import json
import sys
from dataclasses import asdict

from tests.support.toy.orchestrator import SAGAS, ToyData, orchestrator
from tests.support.toy.system import END_SECONDS

if __name__ == "__main__":
    name, data, key = sys.argv[1:]
    [saga] = [saga for saga in SAGAS if saga.name == name]
    execution = orchestrator.run(
        saga,
        ToyData(**json.loads(data)),
        timeout_seconds=END_SECONDS,
        idempotency_key=key,
        raise_on_failure=False,
    )
    print(json.dumps(asdict(execution)))
