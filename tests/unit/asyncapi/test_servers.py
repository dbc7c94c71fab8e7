"""Servers of a document: what somebody needs who connects, and no secret."""

from typing import Any

import pytest
import yaml

from sagas_framework import Broker
from sagas_framework.asyncapi.document import to_yaml, written
from sagas_framework.asyncapi.servers import servers_of
from sagas_framework.errors import ConfigurationError


def servers(url: str, **options: Any) -> list[dict[str, Any]]:
    return [written(server) for server in servers_of(Broker(url, **options))]


@pytest.mark.parametrize(
    ("url", "protocol", "host", "pathname"),
    [
        ("amqp://host", "amqp", "host:5672", "/"),
        ("amqp://", "amqp", "localhost:5672", "/"),
        ("pyamqp://host:1234//", "amqp", "host:1234", "/"),
        ("amqps://host/orders", "amqps", "host:5671", "/orders"),
        ("amqp://host/team%2Forders", "amqp", "host:5672", "/team%2Forders"),
        ("amqp://host/team/orders?heartbeat=10", "amqp", "host:5672", "/team%2Forders"),
        ("amqp://[::1]:5673/orders", "amqp", "[::1]:5673", "/orders"),
        ("amqp://[fe80::1]", "amqp", "[fe80::1]:5672", "/"),
        ("redis://host", "redis", "host:6379", "/0"),
        ("redis://host:1234/2", "redis", "host:1234", "/2"),
        ("rediss://host//?ssl_cert_reqs=required", "rediss", "host:6379", "/0"),
        ("redis+socket:///run/my%20redis.sock?virtual_host=2", "redis", "localhost", "/run/my redis.sock"),
    ],
)
def test_a_server_says_where_it_is(url: str, protocol: str, host: str, pathname: str) -> None:
    [server] = servers(url)
    assert (server["protocol"], server["host"], server["pathname"]) == (protocol, host, pathname)
    assert server["bindings"] == {"redis" if protocol.startswith("redis") else "amqp": {}}
    assert "security" not in server


def test_a_virtual_host_is_told_as_it_is_called() -> None:
    [server] = servers("amqp://host/team%2Forders", quorum_queues=True)
    assert server["description"] == "RabbitMQ, virtual host `team/orders`, quorum queues."


@pytest.mark.parametrize(
    "url",
    [
        "amqp://somebody:s3cret@host:5672/v",
        "amqp://some%62ody:s3%63ret@host/v",
        "amqp://somebody:s3cret@[::1]/v",
        "amqp://somebody:with@s3cret@host/v",
        "amqp://somebody:s3cret@host/v?password=s3cret",
        "amqp://somebody:s3cret@one/v;amqp://somebody:s3cret@two/v",
        "redis://:s3cret@host:6379/2",
        "redis://somebody:s3cret@host",
        "rediss://somebody:s3cret@host?ssl_cert_reqs=none",
        "redis+socket://somebody:s3cret@/run/redis.sock",
        "redis+socket:///run/redis.sock?password=s3cret&username=somebody",
    ],
)
def test_no_server_tells_a_user_or_a_password(url: str) -> None:
    told = to_yaml({"servers": servers(url)})
    for secret in ("somebody", "s3cret", "some%62ody", "s3%63ret"):
        assert secret not in told
    if "@" in url:
        assert all(server["security"] == [{"type": "userPassword"}] for server in yaml.safe_load(told)["servers"])


def test_a_broker_inside_one_process_is_no_server_for_anybody() -> None:
    assert servers("memory://") == []


def test_brokers_that_stand_in_for_the_first_are_servers_as_well() -> None:
    found = servers_of(Broker("amqp://one/v;amqp://two:5673/v"))
    assert [(server.key, server.host, server.pathname) for server in found] == [
        ("broker", "one:5672", "/v"),
        ("broker_2", "two:5673", "/v"),
    ]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3cret@host", "has no scheme; supported are amqp"),
        ("amqp://one;two", "has no scheme; supported are amqp"),
        ("amqp://one;kafka://s3cret@two", "begins with 'kafka'"),
        ("amqp://u:s3cret/@host", "host or port cannot be read.*percent-encoded"),
        ("amqp://u:s3cret?@host", "host or port cannot be read"),
        ("amqp://u:[s3cret@host", "host or port cannot be read"),
        ("amqp://host:99999", "host or port cannot be read"),
    ],
)
def test_a_url_that_nobody_could_connect_to_is_refused_at_once_and_not_repeated(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        Broker(url)
    assert "s3cret" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
