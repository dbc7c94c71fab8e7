"""What a database does to those who use it, made to happen."""

from sqlalchemy import Engine, event, insert, text

from sagas_framework import HandlerContext, StepContext
from tests.support.sagas import orders


def lose_the_connection(step: HandlerContext | StepContext) -> None:
    step.session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


def meet_a_deadlock(step: HandlerContext | StepContext) -> None:
    step.session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'as it happens' USING ERRCODE = '40P01'; END $$"))


LOCK = text("SELECT 1 FROM app_order WHERE id = :id FOR UPDATE")


def insert_two_rows(engine: Engine) -> None:
    """To be locked crosswise."""
    with engine.begin() as connection:
        connection.execute(insert(orders), [{"id": 101, "note": "a"}, {"id": 102, "note": "b"}])


def refuse_a_note_twice(engine: Engine) -> None:
    """At the commit, and not before. The first "taken" is there."""
    with engine.begin() as connection:
        connection.execute(
            text("ALTER TABLE app_order ADD CONSTRAINT one_note UNIQUE (note) DEFERRABLE INITIALLY DEFERRED")
        )
        connection.execute(insert(orders).values(note="taken"))


def wait_for_no_lock(engine: Engine) -> None:
    """On SQLite, and with connections that are made from now on."""
    event.listen(engine, "connect", lambda raw, record: raw.execute("PRAGMA busy_timeout = 1"))
    engine.dispose()
