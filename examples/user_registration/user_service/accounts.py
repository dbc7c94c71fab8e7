"""What the users do, in a web page or an app. What happened, and the row that says so, are one transaction."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from examples.user_registration.messages import (
    EmailCorrected,
    FriendInvited,
    TermsChanged,
    UserRegistered,
    UserVerified,
)
from examples.user_registration.user_service.models import CANCELLED, REGISTERED, VERIFIED, User
from examples.user_registration.user_service.worker import participant

A_DAY = timedelta(days=1)


class TooLate(Exception):
    """The registration has come to another end."""


def register(name: str, email: str, verify_within: timedelta = A_DAY) -> str:
    user = User(id=str(uuid4()), name=name, email=email)
    with participant.sessions.begin() as session:
        session.add(user)
        registered = UserRegistered(user.id, name, email, verify_until=datetime.now(UTC) + verify_within)
        participant.publish(registered, session=session)
        return user.id


def verify(user_id: str) -> None:
    with participant.sessions.begin() as session:
        user = session.get_one(User, user_id, with_for_update=True)
        if user.status == CANCELLED:
            raise TooLate(f"{user.name} would have to register again.")
        if user.status == REGISTERED:  # a link may be opened twice
            user.status = VERIFIED
            participant.publish(UserVerified(user_id, user.email), session=session)


def correct_email(user_id: str, email: str) -> None:
    with participant.sessions.begin() as session:
        user = session.get_one(User, user_id, with_for_update=True)
        if user.status != REGISTERED:
            raise TooLate(f"{user.name} is {user.status}.")
        user.email = email
        participant.publish(EmailCorrected(user_id, email), session=session)


def invite(user_id: str, friend_email: str) -> None:
    with participant.sessions.begin() as session:
        user = session.get_one(User, user_id)
        participant.publish(FriendInvited(user_id, user.name, user.email, friend_email), session=session)


def change_terms(version: str) -> None:
    with participant.sessions.begin() as session:
        participant.publish(TermsChanged(version), session=session)
