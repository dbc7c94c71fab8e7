"""Durable sagas for Python teams that use Celery.

Everything an application needs is listed here; what is not listed may change without notice. The whole tree of errors
is drawn in `sagas_framework.errors`.
"""

from sagas_framework.bootstrap import create_orchestrator, create_participant
from sagas_framework.definition.builder import SagaBuilder
from sagas_framework.definition.retry import RetryPolicy
from sagas_framework.definition.saga import Saga
from sagas_framework.definition.steps import (
    COMPENSATABLE,
    PIVOT,
    RETRIABLE,
    AsyncStep,
    Sleep,
    StepContext,
    SyncStep,
    WaitForSignal,
    send,
)
from sagas_framework.definition.structure import (
    FAIL_FAST,
    WAIT_ALL,
    child_saga,
    choice,
    include,
    parallel,
    when,
)
from sagas_framework.engine.state import SagaStatus
from sagas_framework.errors import (
    DefinitionError,
    OperationRefused,
    SagasError,
    TransientError,
    UnknownSaga,
)
from sagas_framework.operations import Operations
from sagas_framework.orchestrator.orchestrator import Orchestrator
from sagas_framework.orchestrator.start import SagaHandle
from sagas_framework.participant.handlers import HandlerContext, handles
from sagas_framework.participant.participant import Participant
from sagas_framework.participant.step_handler import saga_step_handler, step_context
from sagas_framework.storage.database import reading_session
from sagas_framework.storage.migration import upgrade_database
from sagas_framework.transport.celery_app import Broker
from sagas_framework.vocabulary.command import Command, Failure
from sagas_framework.vocabulary.context import SagaContext
from sagas_framework.vocabulary.names import failure_task_name, success_task_name

__all__ = [
    "COMPENSATABLE",
    "FAIL_FAST",
    "PIVOT",
    "RETRIABLE",
    "WAIT_ALL",
    "AsyncStep",
    "Broker",
    "Command",
    "DefinitionError",
    "Failure",
    "HandlerContext",
    "OperationRefused",
    "Operations",
    "Orchestrator",
    "Participant",
    "RetryPolicy",
    "Saga",
    "SagaBuilder",
    "SagaContext",
    "SagaHandle",
    "SagaStatus",
    "SagasError",
    "Sleep",
    "StepContext",
    "SyncStep",
    "TransientError",
    "UnknownSaga",
    "WaitForSignal",
    "child_saga",
    "choice",
    "create_orchestrator",
    "create_participant",
    "failure_task_name",
    "handles",
    "include",
    "parallel",
    "reading_session",
    "saga_step_handler",
    "send",
    "step_context",
    "success_task_name",
    "upgrade_database",
    "when",
]
