"""The registrations that are verified in time or cancelled: what the README shows, and what holds whoever dies."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.support.examples import as_printed, run_example
from tests.support.registrations import (
    MAILS,
    REGISTRATION,
    SERVICES,
    USERS,
    Registrations,
    address,
    registration_environment,
    registration_system,
    verifies,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # what hangs fails by the limits inside
COUNT = 40
BATCHES = (0, 14, 28, COUNT)
FRIENDS = sum(map(verifies, range(COUNT)))
PLEASE_VERIFY = "Please verify your address"
CANCELLED = "Your registration was cancelled"

DEATHS = {
    USERS: "user_service.verification_timeout_expired",
    MAILS: "mail_service.send_mail.response.success",
    REGISTRATION: "mail_service.send_mail",
}

BOTH_KINDS = [
    pytest.param("embedded", marks=pytest.mark.redis),
    pytest.param("servers", marks=[pytest.mark.long, pytest.mark.rabbitmq, pytest.mark.postgresql]),
]


@pytest.fixture(params=BOTH_KINDS)
def registrations(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registrations]:
    with registration_system(request.param, tmp_path) as registrations:
        yield registrations


@pytest.mark.redis
def test_the_one_command_prints_what_the_readme_says() -> None:
    assert run_example("user_registration") == as_printed("user_registration")[1]


@pytest.mark.parametrize("kind", BOTH_KINDS)
def test_the_same_people_may_come_again(kind: str, tmp_path: Path) -> None:
    """What the first run has left in the databases does not meddle with the second."""
    with registration_environment(kind, tmp_path) as chosen:
        for _ in range(2):
            assert run_example("user_registration", chosen) == as_printed("user_registration")[1]


def test_every_user_is_welcomed_or_cancelled_once_although_every_worker_dies_amid_publishing(
    registrations: Registrations,
) -> None:
    invite_friends(registrations)
    registrations.kill_all()
    registrations.act("register", 0, COUNT)
    for service in SERVICES:
        registrations.start_doomed(service, DEATHS[service])
    for service in (REGISTRATION, USERS, MAILS):
        registrations.let_it_die_and_start_a_sound_one(service)
    registrations.wait_for_the_end()
    assert_that_each_has_got_what_is_due(registrations)


def test_every_user_is_welcomed_or_cancelled_once_although_workers_are_killed_at_any_time(
    registrations: Registrations,
) -> None:
    random, second = Random(1), f"{REGISTRATION}#2"
    invite_friends(registrations)
    for number, dam in enumerate(SERVICES):
        registrations.kill(dam)
        registrations.act("register", *BATCHES[number : number + 2])
        assert registrations.open() > 0, "they were to wait before the dam"
        registrations.start_all([dam, second])  # the dam is open: kill in the flood
        registrations.kill_and_start_again(random.choice(SERVICES))
        registrations.kill(second)
    registrations.wait_for_the_end()
    assert_that_each_has_got_what_is_due(registrations)


def invite_friends(registrations: Registrations) -> None:
    """Before the others come: the order of what is said of several users is not promised."""
    registrations.start_all(SERVICES)
    registrations.act("invite", 0, COUNT)
    registrations.wait_for_mails(2 + FRIENDS)


def assert_that_each_has_got_what_is_due(registrations: Registrations) -> None:
    mails = registrations.mails()
    mails.pop("staff@example.org")
    expected = {"ada@example.org": [PLEASE_VERIFY, "Welcome, Ada", f"Thank you for {FRIENDS} new users"]}
    for number in range(COUNT):
        friend = ["Ada invites you", f"Welcome, user {number}"]
        expected[address(number)] = [PLEASE_VERIFY, *(friend if verifies(number) else [CANCELLED])]
    assert mails == {to: Counter(subjects) for to, subjects in expected.items()}

    statuses = registrations.statuses()
    assert statuses.pop("ada@example.org") == "verified"
    assert statuses == {address(n): "verified" if verifies(n) else "cancelled" for n in range(COUNT)}
    over = COUNT - FRIENDS
    assert registrations.sagas("UserRegistration") == {"running": FRIENDS + 1, "ended": over}
    assert registrations.sagas("Invitations") == {"ended": 1}
    assert registrations.kept() == 0, "an innocent was kept"
