"""What the local stack is going to start, and what it refuses before it starts anything."""

import importlib.util
from pathlib import Path

import pytest

from local_stack import redis_server
from local_stack.messages import StackError
from local_stack.plan import BUNDLE, DEFAULT_DOCS_PORTS, SERVICES, make_plan
from order_service import settings

STATE = Path("/checkout/.local")


def test_by_default_everything_lives_in_the_state_directory() -> None:
    plan = make_plan(Path("/checkout"), STATE, {})
    assert plan.has_own_redis
    assert plan.environment["CELERY_BROKER"] == "redis+socket:///checkout/.local/redis.sock"
    for service in SERVICES:
        url = plan.environment[f"{service.upper()}_DATABASE_URL"]
        assert url == f"sqlite:////checkout/.local/{service}.sqlite3"
    assert plan.page.url == "http://127.0.0.1:5000"
    assert [page.url for page in plan.docs] == [f"http://127.0.0.1:{port}" for port in (8081, 8082, 8083, 8084)]


def test_the_page_leads_to_the_contracts_where_the_stack_serves_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in make_plan(Path("/checkout"), STATE, {}).environment.items():
        monkeypatch.setenv(name, value)
    assert settings.from_environment().docs_ports == DEFAULT_DOCS_PORTS


def test_what_the_user_sets_is_kept() -> None:
    environ = {
        "CELERY_BROKER": "amqp://localhost",
        "ORDER_SERVICE_DATABASE_URL": "postgresql+psycopg://localhost/orders",
        "RESTAURANT_SERVICE_TRANSIENT_APPROVALS": "0",
        "ORDER_SERVICE_PORT": "5001",
        "CONSUMER_SERVICE_DOCS_PORT": "9082",
    }
    plan = make_plan(Path("/checkout"), STATE, environ)
    assert not plan.has_own_redis
    assert environ.items() <= plan.environment.items()
    assert plan.page.port == 5001
    assert [page.port for page in plan.docs] == [8081, 9082, 8083, 8084]
    assert "consumer_service:9082" in plan.commands["docs"]


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1", "5000.0", "\u0665\u0660\u0660\u0660"])
@pytest.mark.parametrize("variable", ["ORDER_SERVICE_PORT", "ACCOUNTING_SERVICE_DOCS_PORT"])
def test_a_malformed_port_names_its_variable(variable: str, port: str) -> None:
    with pytest.raises(StackError, match=variable):
        make_plan(Path("/checkout"), STATE, {variable: port})


def test_a_server_that_listens_everywhere_is_asked_on_loopback() -> None:
    plan = make_plan(Path("/checkout"), STATE, {"ORDER_SERVICE_HOST": "0.0.0.0"})
    assert {page.host for page in (plan.page, *plan.docs)} == {"127.0.0.1"}
    assert "0.0.0.0" in plan.commands["docs"]


def test_contracts_are_drawn_by_what_was_installed_and_else_by_the_public_copy(tmp_path: Path) -> None:
    assert "--bundle" not in make_plan(tmp_path, STATE, {}).commands["docs"]
    (tmp_path / BUNDLE).mkdir(parents=True)
    assert str(tmp_path / BUNDLE) in make_plan(tmp_path, STATE, {}).commands["docs"]


def test_a_path_too_long_for_a_unix_socket_matters_only_to_our_own_redis() -> None:
    deep = Path("/", "x" * 120)
    with pytest.raises(StackError, match="shorter path"):
        make_plan(deep, deep / ".local", {})
    make_plan(deep, deep / ".local", {"CELERY_BROKER": "amqp://localhost"})


def test_without_any_redis_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(StackError, match="apt install redis-server"):
        redis_server.find_executable()


def test_without_the_embedded_redis_one_on_the_path_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    server = tmp_path / "valkey-server"
    server.touch(mode=0o755)
    assert redis_server.find_executable() == str(server)
