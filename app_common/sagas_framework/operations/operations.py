"""Looking at sagas and moving them: what the command line and every page are made of."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from sqlalchemy import Connection, Engine, RowMapping

from sagas_framework.definition.graph import Definition
from sagas_framework.engine.protocol import Act, Cancel, Pause, Resume, Retry, Signal
from sagas_framework.errors import DefinitionError, UnknownSaga
from sagas_framework.operations.diagrams import mermaid, svg
from sagas_framework.operations.trace import readable_trace
from sagas_framework.operations.views import (
    MOST_RECORDED,
    KeptMessage,
    SagaDetails,
    SagaSummary,
    details_of,
    kept_message_of,
    summary_of,
)
from sagas_framework.storage import views
from sagas_framework.storage.database import reading
from sagas_framework.vocabulary import codec
from sagas_framework.vocabulary.identity import is_saga_id

DEFAULT_LIMIT = 50
DiagramForm = Literal["mermaid", "svg", "inline svg"]
_UUID_DIGITS = 32


class Operated(Protocol):
    """What operations need of an orchestrator. They know no more of it, and it knows nothing of them."""

    @property
    def engine(self) -> Engine: ...

    @property
    def definitions(self) -> Mapping[str, Definition]: ...

    def act(self, saga_id: str, act: Act) -> None: ...


class Operations:
    """`Operations(orchestrator)`. Reading takes no locks; acting leaves the sending to a running worker."""

    def __init__(self, orchestrator: Operated) -> None:
        self._orchestrator = orchestrator

    # ---- looking ----------------------------------------------------------------------------------------------

    def list(
        self,
        status: str | Sequence[str] | None = None,
        saga: str | None = None,
        older_than_seconds: float | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> list[SagaSummary]:
        """The newest sagas first; `older_than_seconds` leaves out those started since then."""
        statuses = [status] if isinstance(status, str) else [*(status or ())]
        before = None if older_than_seconds is None else time.time() - older_than_seconds
        with reading(self._orchestrator.engine) as connection:
            rows = views.list_sagas(connection, statuses=statuses, saga=saga, created_before=before, limit=limit)
            failed = self._failed_commands(connection, rows)
        return [summary_of(row, self._known(row), failed.get(row["id"], ())) for row in rows]

    def show(self, saga_id: str) -> SagaDetails:
        """Everything that is known of one saga; raises UnknownSaga."""
        if not is_saga_id(saga_id):
            raise UnknownSaga(saga_id)
        with reading(self._orchestrator.engine) as connection:
            row = views.saga(connection, saga_id)
            if row is None:
                raise UnknownSaga(saga_id)
            history = views.history_of(connection, saga_id)
            failed = self._failed_commands(connection, [row])
            known = self._known(row)
            recorded = [] if known else views.recorded_by(connection, saga_id, MOST_RECORDED)
        return details_of(row, history, known, failed.get(row["id"], ()), recorded)

    def trace(self, saga_id: str) -> str:
        """What happened, line by line, in words."""
        saga = self.show(saga_id)
        return readable_trace(saga, self._orchestrator.definitions.get(saga.saga))

    def _known(self, row: RowMapping) -> Definition | None:
        return self._orchestrator.definitions.get(row["saga"])

    def _failed_commands(
        self, connection: Connection, rows: Sequence[RowMapping]
    ) -> Mapping[str, Sequence[tuple[str, str]]]:
        """An orchestrated saga's are in its state."""
        return views.failed_commands(connection, [row["id"] for row in rows if self._known(row) is None])

    @property
    def saga_names(self) -> Sequence[str]:
        """The sagas that this process knows, whether or not any of them runs."""
        return sorted(self._orchestrator.definitions)

    def diagram(self, saga: str | SagaDetails, form: DiagramForm = "mermaid") -> str:
        """A saga as a picture: by its name, or what `show` returned of an instance, with how far each step is.

        `inline svg` stands in a page whose policy refuses styles in its midst: it needs `DIAGRAM_STYLE` beside it.
        """
        name = saga if isinstance(saga, str) else saga.saga
        definition = self._orchestrator.definitions.get(name)
        if definition is None:
            known = ", ".join(self.saga_names) or "none"
            raise DefinitionError(f"this application has no such saga (it has: {known})", saga=name)
        steps = None if isinstance(saga, str) else {step.name: step for step in saga.steps}
        if form == "mermaid":
            return mermaid(definition, steps)
        return svg(definition, steps, inline=form == "inline svg")

    def ids_beginning_with(self, prefix: str, limit: int = 10) -> Sequence[str]:
        """The ids that begin so, the oldest first; none for what is not the beginning of an id."""
        digits = prefix.strip().lower().replace("-", "")
        if not re.fullmatch(rf"[0-9a-f]{{1,{_UUID_DIGITS}}}", digits):
            return []
        lowest, highest = (_uuid(digits.ljust(_UUID_DIGITS, filler)) for filler in "0f")
        with reading(self._orchestrator.engine) as connection:
            return views.ids_between(connection, lowest, highest, limit)

    # ---- acting -----------------------------------------------------------------------------------------------

    def retry(self, saga_id: str, reason: str) -> None:
        """Tries again at once whatever is stuck, waits for its next try or for a reply."""
        self._act(saga_id, Retry(time.time(), reason))

    def cancel(self, saga_id: str, reason: str) -> None:
        """Undoes the saga; refused once it is past its point of no return."""
        self._act(saga_id, Cancel(time.time(), reason))

    def pause(self, saga_id: str, reason: str = "") -> None:
        """Nothing new begins until it is resumed; replies are still taken in."""
        self._act(saga_id, Pause(time.time(), reason))

    def resume(self, saga_id: str, reason: str = "") -> None:
        self._act(saga_id, Resume(time.time(), reason))

    def signal(self, saga_id: str, name: str, payload: Any = None) -> None:
        """Tells a saga that its step of this name may go on; `payload` is JSON, as that step declares it."""
        encoded = codec.encode_undeclared({} if payload is None else payload, f"signal {name}")
        self._act(saga_id, Signal(time.time(), name, encoded))

    def _act(self, saga_id: str, act: Act) -> None:
        if not is_saga_id(saga_id):
            raise UnknownSaga(saga_id)
        self._orchestrator.act(saga_id, act)

    # ---- kept messages ----------------------------------------------------------------------------------------

    def kept(self, limit: int = DEFAULT_LIMIT, saga_id: str | None = None) -> Sequence[KeptMessage]:
        """Messages that could not be handled, the newest first; `KeptMessages` moves them on."""
        with reading(self._orchestrator.engine) as connection:
            return [kept_message_of(row) for row in views.list_kept(connection, limit, saga_id)]


def _uuid(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
