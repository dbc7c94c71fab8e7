"""Wiring of the user service's worker."""

from examples.user_registration.messages import (
    USERS_QUEUE,
    EmailCorrected,
    FriendInvited,
    RegistrationCancelled,
    TermsChanged,
    UserRegistered,
    UserVerificationTimeoutExpired,
    UserVerified,
)
from examples.user_registration.user_service import handlers
from sagas_framework import create_participant
from sagas_framework.environment import read_broker, read_database_url

participant = create_participant(
    "user_service",
    broker=read_broker(),
    database_url=read_database_url("USER_SERVICE"),
    queue=USERS_QUEUE,
    handlers=[handlers],
    publishes=[
        UserRegistered,
        EmailCorrected,
        UserVerified,
        UserVerificationTimeoutExpired,
        RegistrationCancelled,
        FriendInvited,
        TermsChanged,
    ],
)
app = participant.app
