from sagas_framework import HandlerContext, handles
from tests.support.clinic.messages import Examined, Patient, examine


@handles(examine, database_only=True)
def look(payload: Patient, step: HandlerContext) -> None:
    step.publish(Examined(payload.number))
