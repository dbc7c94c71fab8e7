"""Durable sagas for Python teams that use Celery.

Everything an application needs is listed here; what is not listed may change without notice. The whole tree of errors
is drawn in `sagas_framework.errors`.
"""

from sagas_framework.bootstrap import create_orchestrator, create_participant, create_subscriber
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
    child_saga,
    choice,
    include,
    parallel,
    when,
)
from sagas_framework.engine.state import SagaStatus
from sagas_framework.errors import (
    AnswerRefused,
    DefinitionError,
    OperationRefused,
    Refusal,
    SagaFailed,
    SagasError,
    TransientError,
    UnknownSaga,
    WaitTimedOut,
)
from sagas_framework.events.handlers import EventContext
from sagas_framework.events.subscriber import Subscriber
from sagas_framework.handling import handles
from sagas_framework.operations import Operations
from sagas_framework.orchestrator.on_events import starts
from sagas_framework.orchestrator.orchestrator import Orchestrator
from sagas_framework.orchestrator.waiting import Execution, SagaHandle
from sagas_framework.participant.handlers import ANSWER_LATER, AnswerLater, HandlerContext
from sagas_framework.participant.participant import Participant
from sagas_framework.participant.step_handler import saga_step_handler, step_context
from sagas_framework.process_managers.manager import EventSourcedProcessManager, ProcessManager, applies
from sagas_framework.storage.database import reading_session
from sagas_framework.storage.migration import upgrade_database
from sagas_framework.transport.celery_app import Broker
from sagas_framework.vocabulary.command import Command, Failure, FailureKind
from sagas_framework.vocabulary.context import SagaContext
from sagas_framework.vocabulary.event import Event
from sagas_framework.vocabulary.names import failure_task_name, success_task_name

__all__ = [
    "ANSWER_LATER",
    "COMPENSATABLE",
    "PIVOT",
    "RETRIABLE",
    "AnswerLater",
    "AnswerRefused",
    "AsyncStep",
    "Broker",
    "Command",
    "DefinitionError",
    "Event",
    "EventContext",
    "EventSourcedProcessManager",
    "Execution",
    "Failure",
    "FailureKind",
    "HandlerContext",
    "OperationRefused",
    "Operations",
    "Orchestrator",
    "Participant",
    "ProcessManager",
    "Refusal",
    "RetryPolicy",
    "Saga",
    "SagaBuilder",
    "SagaContext",
    "SagaFailed",
    "SagaHandle",
    "SagaStatus",
    "SagasError",
    "Sleep",
    "StepContext",
    "Subscriber",
    "SyncStep",
    "TransientError",
    "UnknownSaga",
    "WaitForSignal",
    "WaitTimedOut",
    "applies",
    "child_saga",
    "choice",
    "create_orchestrator",
    "create_participant",
    "create_subscriber",
    "failure_task_name",
    "handles",
    "include",
    "parallel",
    "reading_session",
    "saga_step_handler",
    "send",
    "starts",
    "step_context",
    "success_task_name",
    "upgrade_database",
    "when",
]
