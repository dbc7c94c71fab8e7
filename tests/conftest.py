"""For all tests: those that need a server run when it answers on localhost, in a corner of their own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from local_stack.messages import StackError
from local_stack.plan import BUNDLE, CHECKOUT
from tests.support import databases
from tests.support.missing import missing, missing_of_npm
from tests.support.own_brokers import own_broker
from tests.support.servers import RABBITMQ, SERVERS, postgresql_database, rabbitmq_vhost

BOTH_DATABASES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql))
BOTH_BROKERS = (
    pytest.param("redis", marks=pytest.mark.redis),
    pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for server in SERVERS:
        if item.get_closest_marker(server.marker) is not None and not server.answers():
            missing(f"no {server.name} answers on {server.address}")


# ---- databases ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgresql_url_of_this_run() -> Iterator[str]:
    with postgresql_database() as url:
        yield url


@pytest.fixture
def postgresql_url(postgresql_url_of_this_run: str) -> str:
    """An empty PostgreSQL database. A test that asks for it carries the mark `postgresql`."""
    databases.empty_postgresql(postgresql_url_of_this_run)
    return postgresql_url_of_this_run


@pytest.fixture(params=BOTH_DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'sagas.sqlite3'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on that database, with the framework's tables in it."""
    with databases.opened(database_url) as engine:
        yield engine


# ---- brokers ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The embedded Redis, on a unix socket, for this run alone."""
    try:
        with own_broker("redis") as broker:
            yield broker.url
    except StackError as error:
        missing(str(error))


@pytest.fixture(scope="session")
def rabbitmq_url() -> Iterator[str]:
    """A virtual host of RabbitMQ for this run alone. A test that asks for it carries the mark `rabbitmq`."""
    if not RABBITMQ.answers():
        missing(f"no RabbitMQ answers on {RABBITMQ.address}")
    with rabbitmq_vhost() as url:
        yield url


@pytest.fixture(params=BOTH_BROKERS)
def broker_url(request: pytest.FixtureRequest) -> str:
    """The test runs once on Redis and once on RabbitMQ."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


# ---- the browser --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's Chromium; none is downloaded."""
    return shutil.which("chromium") or missing("there is no chromium on the PATH (Debian: apt install chromium)")


@pytest.fixture(scope="session")
def viewer_bundle() -> Path:
    """The folder of the npm package that draws documents, as `make` installs it."""
    if (CHECKOUT / BUNDLE).is_dir():
        return CHECKOUT / BUNDLE
    missing_of_npm("what draws documents is not installed (sh tools/asyncapi_page/install.sh)")
