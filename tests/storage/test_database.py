"""What the framework's engines promise: no wait without an end, no weather taken for a refusal, no shared sockets."""

import os
import socket
import time
from collections.abc import Iterator
from threading import Thread

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from sagas_framework import upgrade_database
from sagas_framework.storage import database
from sagas_framework.storage.database import is_bad_weather, open_database
from tests.support.threads import until

LOCK_TIMEOUT = text("SHOW lock_timeout")


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
    with postgresql_engine.connect() as holder, postgresql_engine.connect() as watcher:
        holder.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": 0x5A6A5})
        other = Thread(target=upgrade)
        other.start()
        until(lambda: watcher.scalar(waits) == 1)
        holder.rollback()
        other.join()
    hurried.dispose()
    assert ended
