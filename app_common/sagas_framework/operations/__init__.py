"""What operators see of sagas and events, and what they do: the functions behind the command line and every page.

Belongs here: reading sagas, applying an operator's act, moving kept messages on. Does not belong here: SQL (that
is `storage.views`), deciding what an act means (that is the engine), and how anything looks on a screen.
"""

from sagas_framework.operations.advice import Advice, advice_for
from sagas_framework.operations.diagrams import STYLE as DIAGRAM_STYLE
from sagas_framework.operations.doctor import examine
from sagas_framework.operations.event_views import HowFar, Kind, Outgoing, Standing, WaitingEvent
from sagas_framework.operations.events import Events
from sagas_framework.operations.findings import Finding
from sagas_framework.operations.kept import KeptMessages
from sagas_framework.operations.operations import Operations
from sagas_framework.operations.trace import readable_trace
from sagas_framework.operations.views import (
    HistoryEntry,
    KeptMessage,
    Parent,
    RecordedEvent,
    SagaDetails,
    SagaSummary,
    StepView,
)

__all__ = [
    "DIAGRAM_STYLE",
    "Advice",
    "Events",
    "Finding",
    "HistoryEntry",
    "HowFar",
    "KeptMessage",
    "KeptMessages",
    "Kind",
    "Operations",
    "Outgoing",
    "Parent",
    "RecordedEvent",
    "SagaDetails",
    "SagaSummary",
    "Standing",
    "StepView",
    "WaitingEvent",
    "advice_for",
    "examine",
    "readable_trace",
]
