"""Five people register. Runs beside the workers: `python -m examples.user_registration`."""

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from examples.user_registration.mail_service.bounces import report_bounce
from examples.user_registration.mail_service.models import SentMail
from examples.user_registration.mail_service.worker import participant as mail_service
from examples.user_registration.user_service.accounts import change_terms, correct_email, invite, register, verify
from examples.user_registration.user_service.models import REGISTERED, User
from examples.user_registration.user_service.worker import participant as user_service
from sagas_framework import Participant, reading_session

PATIENCE_SECONDS = 120.0
PAUSE_SECONDS = 0.05


class Mailboxes:
    """What is new in them."""

    def __init__(self) -> None:
        with reading(mail_service) as session:
            self._seen = session.scalar(select(func.max(SentMail.id))) or 0

    def print_new(self, count: int) -> None:
        """As soon as there are so many."""
        mails: list[SentMail] = []

        def are_there() -> bool:
            with reading(mail_service) as session:
                mails[:] = session.scalars(select(SentMail).where(SentMail.id > self._seen))
            return len(mails) >= count

        wait_until(are_there, f"{count} mails")
        self._seen = max(mail.id for mail in mails)
        for mail in sorted(mails, key=lambda mail: (mail.to, mail.subject)):
            print(f"    mail to {mail.to}: {mail.subject}")


def main() -> None:
    mailboxes = Mailboxes()
    ada_invites_bob(mailboxes)
    carol_comes_and_dave_cannot_be_reached(mailboxes)
    eve_forgets(mailboxes)


def ada_invites_bob(mailboxes: Mailboxes) -> None:
    print("Ada registers")
    ada = register("Ada", "ada@example.org")
    mailboxes.print_new(1)
    print("Ada opens the link in the mail")
    verify(ada)
    mailboxes.print_new(1)
    print("Ada invites Bob and Carol")
    invite(ada, "bob@example.org")
    invite(ada, "carol@example.org")
    mailboxes.print_new(2)
    print("Bob registers")
    bob = register("Bob", "bob@example.org")
    mailboxes.print_new(1)
    print("Bob opens the link in the mail")
    verify(bob)
    mailboxes.print_new(1)


def carol_comes_and_dave_cannot_be_reached(mailboxes: Mailboxes) -> None:
    print("Carol registers")
    carol = register("Carol", "carol@example.org")
    mailboxes.print_new(1)
    print("Dave registers, with a slip of the pen")
    dave = register("Dave", "dave@exmaple.org")
    mailboxes.print_new(1)
    print("The terms of use change")
    change_terms("2.0")
    mailboxes.print_new(2)
    print("Carol opens the link in the first mail")
    verify(carol)
    mailboxes.print_new(2)
    print("Dave corrects his address, with another slip")
    correct_email(dave, "dave@exampel.org")
    mailboxes.print_new(1)
    print("What was sent to dave@exmaple.org comes back")
    report_bounce("dave@exmaple.org")
    print("What was sent to dave@exampel.org comes back")
    report_bounce("dave@exampel.org")
    print_outcome(dave)


def eve_forgets(mailboxes: Mailboxes) -> None:
    print("Eve registers, and has two seconds")
    eve = register("Eve", "eve@example.org", verify_within=timedelta(seconds=2))
    mailboxes.print_new(1)
    print("Eve does nothing")
    mailboxes.print_new(2)
    print_outcome(eve)


def print_outcome(user_id: str) -> None:
    wait_until(lambda: user_of(user_id).status != REGISTERED, "a decision")
    user = user_of(user_id)
    print(f"    {user.name} is {user.status}: {user.reason}")


def user_of(user_id: str) -> User:
    with reading(user_service) as session:
        return session.get_one(User, user_id)


def reading(service: Participant) -> AbstractContextManager[Session]:
    assert service.engine is not None  # its worker gives it a database
    return reading_session(service.engine)


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain for {what}")
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
