"""What the framework's engines promise: no wait without an end, no weather taken for a refusal, no shared sockets."""

import gc
import os
import socket
import time
import weakref
from collections.abc import Iterator
from threading import Thread

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, insert, select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session

from sagas_framework import reading_session, upgrade_database
from sagas_framework.errors import SessionIsLent
from sagas_framework.storage import database
from sagas_framework.storage.database import lent_session, open_database
from sagas_framework.storage.weather import is_bad_weather
from tests.support.sagas import orders
from tests.support.threads import until

LOCK_TIMEOUT = text("SHOW lock_timeout")


class Base(DeclarativeBase):
    """Of the one class that these tests flush."""


class Note(Base):
    __table__ = orders


@pytest.fixture
def silent_server() -> Iterator[str]:
    """It takes the connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"postgresql+psycopg://nobody@127.0.0.1:{server.getsockname()[1]}/nowhere"


# ---- no wait without an end -----------------------------------------------------------------------------------------


def test_a_server_that_never_answers_is_bad_weather_after_the_connect_timeout(
    silent_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "POSTGRESQL_CONNECT_TIMEOUT_SECONDS", 2)  # libpq knows no less
    begun = time.monotonic()
    with pytest.raises(OperationalError) as raised:
        open_database(silent_server).connect()
    assert is_bad_weather(raised.value) and time.monotonic() - begun < 10


@pytest.mark.postgresql
def test_a_connection_that_falls_silent_is_given_up_by_the_kernel(postgresql_url: str) -> None:
    engine = open_database(postgresql_url)
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
        with socket.socket(fileno=os.dup(raw.fileno())) as theirs:
            options = [
                theirs.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_USER_TIMEOUT, socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            ]
    engine.dispose()
    assert options == [10_000, 10, 3, 3]


@pytest.mark.postgresql
def test_a_row_that_somebody_holds_is_bad_weather_after_the_lock_timeout(
    postgresql_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "POSTGRESQL_LOCK_TIMEOUT_MILLISECONDS", 50)
    hurried = open_database(postgresql_engine.url.render_as_string(hide_password=False))
    row = text("SELECT 1 FROM app_order WHERE id = 1 FOR UPDATE")
    with postgresql_engine.begin() as connection:
        connection.execute(text("INSERT INTO app_order (id, note) VALUES (1, '')"))
    with postgresql_engine.begin() as holder:
        holder.execute(row)
        with hurried.connect() as connection, pytest.raises(OperationalError) as raised:
            connection.execute(row)
    hurried.dispose()
    assert is_bad_weather(raised.value)


@pytest.mark.postgresql
def test_the_lock_timeout_is_two_seconds_unless_somebody_has_set_another(postgresql_url: str) -> None:
    elsewhere = "SET lock_timeout = '7s'"
    for url, before, expected in [
        (postgresql_url, None, "2s"),
        (f"{postgresql_url}?options=-c%20lock_timeout%3D0", None, "0"),
        (f"{postgresql_url}?options=-c%20work_mem%3D1MB", None, "2s"),
        (postgresql_url, elsewhere, "7s"),
    ]:
        engine = open_database(url)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if before is not None:
                connection.execute(text(f"ALTER DATABASE {engine.url.database} {before}"))
        engine.dispose()
        with engine.connect() as connection:
            assert connection.scalar(LOCK_TIMEOUT) == expected
            connection.rollback()
            connection.execute(text(f"ALTER DATABASE {engine.url.database} RESET lock_timeout"))
            connection.commit()
        engine.dispose()


@pytest.mark.postgresql
def test_an_upgrade_waits_for_another_one_however_long_it_takes(
    postgresql_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "POSTGRESQL_LOCK_TIMEOUT_MILLISECONDS", 50)
    hurried = open_database(postgresql_engine.url.render_as_string(hide_password=False))
    ended: list[bool] = []

    def upgrade() -> None:
        upgrade_database(hurried)
        ended.append(True)

    waits = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND clock_timestamp() - query_start > interval '200 ms'"
    )

    def waits_long() -> bool:
        with postgresql_engine.connect() as connection:  # a new transaction: within one, the view does not change
            return bool(connection.scalar(waits))

    with postgresql_engine.connect() as holder:
        holder.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": 0x5A6A5})
        other = Thread(target=upgrade)
        other.start()
        until(waits_long)
        holder.rollback()
        other.join()
    hurried.dispose()
    assert ended


# ---- what is weather ------------------------------------------------------------------------------------------------

CANNOT = text("DO $$ BEGIN RAISE EXCEPTION 'so it is' USING ERRCODE = '40P01'; END $$")


def raised_with(code: str, engine: Engine) -> DBAPIError:
    with engine.connect() as connection, pytest.raises(DBAPIError) as raised:
        connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'so it is' USING ERRCODE = '{code}'; END $$")
    return raised.value


@pytest.mark.rule(13)
@pytest.mark.postgresql
@pytest.mark.parametrize("code", ["53100", "53200", "53300", "58000", "58030", "57P05", "40003", "40001", "55P03"])
def test_what_passes_by_itself_or_is_an_operators_to_mend_is_weather(postgresql_engine: Engine, code: str) -> None:
    assert is_bad_weather(raised_with(code, postgresql_engine))


@pytest.mark.rule(13)
@pytest.mark.postgresql
@pytest.mark.parametrize("code", ["23505", "22003", "42P01", "57014", "25P02"])
def test_what_is_the_statements_own_fault_is_no_weather(postgresql_engine: Engine, code: str) -> None:
    assert not is_bad_weather(raised_with(code, postgresql_engine))


@pytest.mark.rule(13)
def test_a_full_disk_under_sqlite_is_weather(sqlite_engine: Engine) -> None:
    with sqlite_engine.connect() as connection, pytest.raises(OperationalError) as raised:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        connection.execute(insert(orders), [{"note": "x" * 1000}] * 1000)
    assert "full" in str(raised.value) and is_bad_weather(raised.value)


@pytest.mark.rule(13)
@pytest.mark.postgresql
def test_weather_of_another_database_that_a_handler_hides_is_its_own_refusal(postgresql_engine: Engine) -> None:
    elsewhere = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/nowhere")
    with postgresql_engine.begin() as connection, lent_session(connection):
        try:
            elsewhere.connect()
        except DBAPIError as error:
            assert is_bad_weather(error)
            with pytest.raises(LookupError) as hidden:
                raise LookupError("the price service says no") from None
            with pytest.raises(LookupError) as shown:
                raise LookupError("the price service says no")  # noqa: B904 - as handlers do
    assert is_bad_weather(shown.value) and not is_bad_weather(hidden.value)


@pytest.mark.rule(13)
@pytest.mark.postgresql
def test_weather_of_the_lent_transaction_cannot_be_hidden(postgresql_engine: Engine) -> None:
    with postgresql_engine.connect() as connection, lent_session(connection) as session:
        try:
            session.execute(CANNOT)
        except DBAPIError:
            with pytest.raises(LookupError) as hidden:
                raise LookupError("no such dish") from None
        session.expunge_all()
    assert is_bad_weather(hidden.value)


# ---- swallowed weather ----------------------------------------------------------------------------------------------


def swallowed(session: Session, statement: object = CANNOT) -> None:
    with pytest.raises(DBAPIError):
        session.execute(statement)  # type: ignore[call-overload]


def after(session: Session) -> DBAPIError:
    with pytest.raises(DBAPIError) as raised:
        session.execute(select(1))
    return raised.value


@pytest.mark.rule(13)
@pytest.mark.postgresql
def test_what_fails_after_a_swallowed_deadlock_is_that_deadlock(postgresql_engine: Engine) -> None:
    with postgresql_engine.connect() as connection, lent_session(connection) as session:
        swallowed(session)
        assert is_bad_weather(after(session)) and is_bad_weather(after(session))


@pytest.mark.rule(13)
@pytest.mark.postgresql
def test_what_fails_after_a_swallowed_refusal_is_none(postgresql_engine: Engine) -> None:
    with postgresql_engine.connect() as connection, lent_session(connection) as session:
        swallowed(session, text("SELECT * FROM no_such_table"))
        assert not is_bad_weather(after(session))


@pytest.mark.rule(13)
@pytest.mark.postgresql
@pytest.mark.parametrize("ended_by", ["savepoint", "transaction"])
def test_a_deadlock_that_was_rolled_back_says_nothing_of_what_comes_after(
    postgresql_engine: Engine, ended_by: str
) -> None:
    with postgresql_engine.connect() as connection:
        transaction = connection.begin_nested() if ended_by == "savepoint" else connection.begin()
        with Session(connection) as session:
            swallowed(session)
        transaction.rollback()
        with Session(connection) as session:
            swallowed(session, text("SELECT * FROM no_such_table"))
            assert not is_bad_weather(after(session))


def flush_into_a_deadlock(session: Session) -> None:
    session.execute(
        text(
            "CREATE FUNCTION pg_temp.fail() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'so it is' USING ERRCODE = '40P01'; END $$"
        )
    )
    session.execute(text("CREATE TRIGGER fail BEFORE INSERT ON app_order EXECUTE FUNCTION pg_temp.fail()"))
    session.add(Note(note="created"))
    with pytest.raises(DBAPIError):
        session.flush()


@pytest.mark.rule(13)
@pytest.mark.postgresql
def test_a_deadlock_in_a_flush_that_somebody_swallows_comes_back_whatever_is_done_next(
    postgresql_engine: Engine,
) -> None:
    with postgresql_engine.connect() as connection, pytest.raises(DBAPIError), lent_session(connection) as session:
        flush_into_a_deadlock(session)
        assert is_bad_weather(after(session))
        with pytest.raises(DBAPIError):
            session.connection()
        with pytest.raises(DBAPIError) as flushed:
            session.flush()
        assert is_bad_weather(flushed.value)


@pytest.mark.postgresql
def test_a_deadlock_in_a_flush_within_the_handlers_own_savepoint_is_the_handlers_to_mend(
    postgresql_engine: Engine,
) -> None:
    with postgresql_engine.connect() as connection, lent_session(connection) as session:
        with pytest.raises(DBAPIError), session.begin_nested():
            flush_into_a_deadlock(session)
            session.flush()
        assert session.scalar(select(1)) == 1


# ---- a lent transaction ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["commit", "rollback", "close"])
def test_the_connection_of_a_lent_session_refuses_to_end_the_transaction(engine: Engine, ending: str) -> None:
    with engine.begin() as connection:
        with lent_session(connection) as session:
            session.execute(insert(orders).values(note="kept"))
            with lent_session(session.connection()) as inner, pytest.raises(SessionIsLent, match=rf"\(\).{ending}\(\)"):
                getattr(inner.connection(), ending)()
            with pytest.raises(SessionIsLent, match=rf"connection\(\).{ending}\(\)"):
                getattr(session.connection(), ending)()
        connection.commit()
    with reading_session(engine) as session:
        assert list(session.scalars(select(orders.c.note))) == ["kept"]


def test_a_reading_session_waits_for_no_writer(sqlite_engine: Engine) -> None:
    with sqlite_engine.begin() as writer:
        writer.execute(insert(orders).values(note="not yet"))
        with reading_session(sqlite_engine) as session:
            assert list(session.scalars(select(orders.c.note))) == []


# ---- forks ----------------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # Python 3.12 and later
def test_a_forked_child_makes_its_own_connections(postgresql_engine: Engine) -> None:
    def backend() -> int:
        with reading_session(postgresql_engine) as session:
            return int(session.scalar(text("SELECT pg_backend_pid()")))

    before = backend()
    theirs, ours = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(ours, str(backend()).encode())
        finally:
            os._exit(0)
    os.close(ours)
    with os.fdopen(theirs) as answer:
        assert int(answer.read()) != before
    os.waitpid(child, 0)
    assert backend() == before


def test_an_engine_that_nobody_uses_is_not_kept_for_the_sake_of_forks(database_url: str) -> None:
    engine = weakref.ref(open_database(database_url))
    gc.collect()
    assert engine() is None
