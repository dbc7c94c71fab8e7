"""The command line, as an operator types it: what it prints where, and how it exits."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import Result
from sqlalchemy import update

from local_stack.plan import CHECKOUT
from sagas_framework.storage import keeping
from sagas_framework.storage.keeping import Kept
from sagas_framework.storage.schema import instances
from tests.cli.conftest import MODULE, Run
from tests.support.orchestration import Bench, answer
from tests.support.sagas import OrderData, OrderSaga, QuietSaga, app_metadata


def refused(result: Result, exit_code: int = 1) -> str:
    """The one line on stderr of a command that failed."""
    assert result.exit_code == exit_code, result.output
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith("sagas: ")
    return str(result.stderr)


def fine(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return str(result.stdout)


@pytest.fixture
def bench(shop: ModuleType) -> Bench:
    app_metadata.create_all(shop.orchestrator.engine)
    return Bench(shop.orchestrator.engine, OrderSaga, QuietSaga)


@pytest.fixture
def saga_id(bench: Bench) -> str:
    return bench.started(OrderSaga, OrderData(1))


# ---- finding the application -------------------------------------------------------------------------------------


def test_the_application_is_found_through_the_option_the_environment_and_pyproject(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "shop: the tables are now of version" in fine(run("db", "upgrade"))
    (folder / "pyproject.toml").unlink()
    monkeypatch.setenv("SAGAS_APP", f"{MODULE}:participant")
    assert "kitchen: the tables are now of version" in fine(run("db", "upgrade"))
    assert "shop: the tables are up to date" in fine(run("db", "upgrade", "--app", MODULE))
    assert "shop: the tables are up to date" in fine(run("--app", MODULE, "db", "upgrade"))


def test_without_an_application_it_says_how_to_name_one(run: Run, folder: Path) -> None:
    (folder / "pyproject.toml").unlink()
    assert "say --app module, set SAGAS_APP" in refused(run("list"), exit_code=2).replace("Say", "say")


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("no_such_module", "no_such_module cannot be imported: ModuleNotFoundError"),
        (f"{MODULE}:nothing", f"{MODULE} has no nothing"),
        (f"{MODULE}:app", "is of the class StrictApp"),
        (f"{MODULE}:participant", "is a participant and runs no sagas"),
        ("broken", "broken cannot be imported: KeyError: 'HOME_OF_NOBODY'"),
        ("stopped", "CELERY_BROKER: it is no URL"),
        ("miswired", "miswired: the broker URL begins with 'http'"),
        ("json", "json has no orchestrator or participant"),
    ],
)
def test_an_application_that_cannot_be_used_is_one_line(run: Run, folder: Path, app: str, said: str) -> None:
    (folder / "broken.py").write_text("import os\nos.environ['HOME_OF_NOBODY']\n")
    (folder / "miswired.py").write_text("from sagas_framework import Broker\nBroker('http://broker')\n")
    (folder / "stopped.py").write_text("import sys\nsys.exit('CELERY_BROKER: it is no URL')\n")
    assert said in refused(run("--app", app, "list"))


def test_a_pyproject_that_cannot_be_read_is_one_line(run: Run, folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.sagas\n")
    assert "pyproject.toml cannot be read" in refused(run("list"))
    (folder / "pyproject.toml").write_text("[tool.sagas]\napp = 1\n")
    assert "must be a text" in refused(run("list"))


def test_a_database_without_tables_says_what_to_run(run: Run) -> None:
    assert "sagas db upgrade" in refused(run("list"))


def test_a_participant_without_a_database_has_nothing_to_upgrade(run: Run) -> None:
    assert "has no database" in refused(run("--app", f"{MODULE}:forgetful", "db", "upgrade"))


# ---- looking -----------------------------------------------------------------------------------------------------


def test_the_list_says_what_each_saga_waits_for(run: Run, saga_id: str) -> None:
    header, line = fine(run("list")).splitlines()
    assert header.split() == ["ID", "SAGA", "STATUS", "AGE", "SITUATION"]
    assert line.startswith(f"{saga_id}  OrderSaga  running ")
    assert line.endswith("waits for the reply to create")


def test_the_list_is_chosen_by_status_saga_and_age(run: Run, bench: Bench, saga_id: str) -> None:
    with bench.engine.begin() as connection:
        connection.execute(update(instances).values(created_at=time.time() - 301))
    assert saga_id in fine(run("list", "--status", "unfinished", "--saga", "OrderSaga", "--older-than", "5m"))
    for chosen in (["--status", "failed"], ["--saga", "Other"], ["--older-than", "6m"]):
        assert fine(run("list", *chosen)) == "no such sagas\n"


def test_json_holds_everything_that_the_summary_knows(run: Run, saga_id: str) -> None:
    (listed,) = json.loads(fine(run("list", "--json")))
    assert (listed["id"], listed["status"], listed["paused"]) == (saga_id, "running", False)
    shown = json.loads(fine(run("show", saga_id, "--json")))
    assert shown["data"]["order_id"] == 1 and shown["history"][0]["event"] == "started"
    assert json.loads(fine(run("list", "--json", "--status", "failed"))) == []


def test_a_saga_is_shown_with_what_to_do(run: Run, bench: Bench, saga_id: str) -> None:
    bench.due()
    fine(run("pause", saga_id))
    shown = fine(run("show", saga_id))
    assert "running (paused)" in shown
    assert f"sagas resume {saga_id}" in shown
    for part in ("Steps", "kitchen.create", "kitchen.reject", "History", "command sent"):
        assert part in shown


def test_the_trace_is_printed_as_it_is(run: Run, saga_id: str) -> None:
    assert fine(run("trace", saga_id)).splitlines() == [
        "❗️ begin saga",
        "",
        "✔️ reserve",
        "⏳ create (waiting for the reply)",
    ]


def test_an_id_may_be_shortened_until_it_is_ambiguous(run: Run, bench: Bench, saga_id: str) -> None:
    assert fine(run("trace", saga_id[:30])) == fine(run("trace", saga_id.upper()))
    other = saga_id[:-1] + ("0" if saga_id[-1] != "0" else "1")
    second = bench.started(OrderSaga, OrderData(2))
    with bench.engine.begin() as connection:
        connection.execute(update(instances).where(instances.c.id == second).values(id=other))
    said = refused(run("trace", saga_id[:9]))
    assert saga_id in said and other in said and "more characters" in said
    assert "at least its first 8" in refused(run("trace", saga_id[:7]), exit_code=2)
    assert "no saga has the id" in refused(run("trace", "ffffffff-ffff"))


def test_a_saga_is_drawn_by_its_name(run: Run, folder: Path, shop: ModuleType) -> None:
    assert fine(run("diagram", "OrderSaga")).startswith("flowchart TD\n")
    assert fine(run("diagram", "OrderSaga", "--format", "svg")).startswith("<svg xmlns=")
    assert "is drawn in order.svg" in fine(run("diagram", "OrderSaga", "--format", "svg", "--output", "order.svg"))
    assert (folder / "order.svg").read_text(encoding="utf-8").endswith("</svg>\n")
    assert "cannot be written" in refused(run("diagram", "OrderSaga", "--output", "no/such/folder"))


def test_an_instance_is_drawn_over_its_saga(run: Run, saga_id: str) -> None:
    assert "under way" not in fine(run("diagram", "OrderSaga"))
    assert "under way" in fine(run("diagram", "OrderSaga", "--saga", saga_id[:30]))
    assert "is a OrderSaga, not a QuietSaga" in refused(run("diagram", "QuietSaga", "--saga", saga_id), exit_code=2)
    assert "no saga has the id" in refused(run("diagram", "OrderSaga", "--saga", "ffffffff-ffff"))


def test_an_unknown_name_is_answered_with_the_known_ones(run: Run, shop: ModuleType) -> None:
    said = refused(run("diagram", "OrderSage"))
    assert "'OrderSage'" in said and "it has: KitchenSaga, OrderSaga, QuietSaga" in said


# ---- acting ------------------------------------------------------------------------------------------------------


def test_a_stuck_saga_is_moved_on(run: Run, bench: Bench, saga_id: str) -> None:
    create = bench.publisher.take()[0]
    with bench.engine.begin() as connection:
        connection.execute(update(instances).values(status="needs_attention"))
    assert "tries again: running" in fine(run("retry", saga_id, "--reason", "the oven is hot"))
    bench.handle(answer(create, {"ticket_id": 7}))
    assert "is cancelled: compensating" in fine(run("cancel", saga_id, "--reason", "the guest left"))
    assert "being compensated already" in refused(run("cancel", saga_id, "--reason", "again"))
    told = fine(run("trace", saga_id))
    assert "❗️ retried by an operator (the oven is hot)" in told
    assert "❗️ cancelled by an operator (the guest left): reverting" in told


def test_what_fails_again_at_once_is_an_error(run: Run, shop: ModuleType, folder: Path) -> None:
    bench = Bench(shop.orchestrator.engine, shop.KitchenSaga)
    saga_id = bench.started(shop.KitchenSaga, OrderData(1))
    bench.handle(answer(bench.publisher.take()[0], {"ticket_id": 7}))
    assert saga_id in fine(run("list", "--status", "needs_attention"))
    said = refused(run("retry", saga_id, "--reason", "try"))
    assert "needs attention again" in said and "still no gas" in said
    (folder / "gas").touch()
    assert "has ended: succeeded" in fine(run("retry", saga_id, "--reason", "gas is back"))


@pytest.mark.parametrize("act", ["retry", "cancel"])
def test_an_act_without_a_reason_is_refused(run: Run, saga_id: str, act: str) -> None:
    assert "--reason" in refused(run(act, saga_id), exit_code=2)
    assert "say why" in refused(run(act, saga_id, "--reason", "  "), exit_code=2)


def test_pausing_and_resuming(run: Run, saga_id: str) -> None:
    assert f"sagas resume {saga_id}" in fine(run("pause", saga_id, "--reason", "stock-taking"))
    assert "paused already" in refused(run("pause", saga_id))
    assert "goes on" in fine(run("resume", saga_id))
    assert "not paused" in refused(run("resume", saga_id))


def test_a_signal_is_passed_on_and_a_wrong_one_is_refused_in_one_line(run: Run, shop: ModuleType) -> None:
    saga_id = Bench(shop.orchestrator.engine, shop.TastingSaga).started(shop.TastingSaga, OrderData(1))
    assert "it waits for no signal 'eaten' (it has: tasted)" in refused(run("signal", saga_id, "eaten"))
    assert "signal tasted: good: Field required" in refused(run("signal", saga_id, "tasted"))
    assert "it is not JSON" in refused(run("signal", saga_id, "tasted", "--payload", "{good"), exit_code=2)
    said = fine(run("signal", saga_id, "tasted", "--payload", '{"good": true}'))
    assert f"saga {saga_id} has the signal tasted: running; waits for the reply to create" in said
    again = run("signal", saga_id, "tasted", "--payload", '{"good": true}')
    assert "the signal 'tasted' has come already" in refused(again)


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "--status", "lost"],
        ["list", "--older-than", "soon"],
        ["list", "--limit", "0"],
        ["show"],
        ["kept", "show", "zero"],
        ["kept", "discard", "1"],
        ["unknown"],
        ["list", "--unknown"],
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(run: Run, shop: ModuleType, arguments: list[str]) -> None:
    refused(run(*arguments), exit_code=2)


def test_help_needs_no_application(run: Run, folder: Path) -> None:
    (folder / "pyproject.toml").unlink()
    assert "needs_attention" in fine(run("--help"))
    assert "--older-than" in fine(run("list", "--help"))


def test_an_error_that_nobody_foresaw_is_one_line_too_unless_asked_for(
    run: Run, shop: ModuleType, saga_id: str
) -> None:
    shop.orchestrator.definitions.clear()
    assert "does not know the saga" in refused(run("retry", saga_id, "--reason", "try"))
    assert isinstance(run("--verbose", "retry", saga_id, "--reason", "try").exception, LookupError)


# ---- kept messages and the doctor ----------------------------------------------------------------------------------


@pytest.fixture
def number(shop: ModuleType) -> int:
    message = Kept("it is \x1b[2Jnonsense\nline 2", "a.task", "a-queue-of-the-cli", "m-1", None, {"id": "m-1"}, "[]")
    with shop.orchestrator.engine.begin() as connection:
        keeping.keep(connection, [message], time.time())
    return 1


def test_kept_messages_are_listed_and_shown(run: Run, number: int) -> None:
    _, line = fine(run("kept", "list")).splitlines()
    assert line.startswith(f"{number} ") and line.endswith("it is [2Jnonsense")
    shown = fine(run("kept", "show", str(number)))
    assert "a-queue-of-the-cli" in shown and "\x1b" not in shown and f"sagas kept requeue {number}" in shown
    assert json.loads(fine(run("kept", "list", "--json")))[0]["body"] == "[]"


def test_a_kept_message_is_requeued_or_discarded_once(run: Run, number: int) -> None:
    assert "is in the queue a-queue-of-the-cli again" in fine(run("kept", "requeue", str(number)))
    assert "no kept message has the number 1" in refused(run("kept", "requeue", str(number)))
    assert "no kept message" in refused(run("kept", "discard", str(number), "--reason", "garbage"))
    assert fine(run("kept", "list")) == "no messages are kept\n"


def test_the_doctor_exits_with_1_when_something_is_wrong(run: Run, shop: ModuleType) -> None:
    assert fine(run("doctor")).splitlines()[-1] == "all is well"
    with shop.orchestrator.engine.begin() as connection:
        keeping.keep(connection, [Kept("why", "a.task", "q", "m-1", None, {}, "[]")], time.time())
    result = run("doctor")
    assert result.exit_code == 1
    assert "PROBLEM messages  1 message was kept" in result.stdout
    assert "-> sagas kept list" in result.stdout
    assert result.stdout.splitlines()[-1] == "1 problem"


# ---- as a process of its own ---------------------------------------------------------------------------------------

SCRIPT = Path(sys.executable).parent / "sagas"


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([sys.executable, "-m", "sagas_framework.cli"], id="module"),
        pytest.param(
            [str(SCRIPT)],
            id="console script",
            marks=pytest.mark.skipif(not SCRIPT.exists(), reason="the distribution is not installed here"),
        ),
    ],
)
def test_the_real_command_prints_plainly_and_fails_in_one_line(command: list[str], folder: Path, saga_id: str) -> None:
    path = os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "app_common")])
    environment = {**os.environ, "PYTHONPATH": path}

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    listed = call("list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert saga_id in listed.stdout and "\x1b" not in listed.stdout
    piped = subprocess.Popen(
        [*command, "list", "--json"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert piped.stdout is not None and piped.stderr is not None
    piped.stdout.close()
    assert piped.stderr.read() == ""
    piped.wait(60)
    piped.stderr.close()
    failed = call("show", "ffffffff")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == "sagas: no saga has the id 'ffffffff'; `sagas list` shows the known ones\n"
