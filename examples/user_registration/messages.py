"""The published language of the services: what happens in them, and what may be asked of them."""

from dataclasses import dataclass
from datetime import datetime

from sagas_framework import Command, Event

USERS_QUEUE = "user_service.commands"
MAILS_QUEUE = "mail_service.commands"
REGISTRATION_QUEUE = "registration.events"

# ---- what happens in the user service --------------------------------------------------------------------------------


@dataclass(frozen=True)
class UserRegistered:
    user_id: str
    name: str
    email: str
    verify_until: datetime


@dataclass(frozen=True)
class EmailCorrected:
    user_id: str
    email: str


@dataclass(frozen=True)
class UserVerified:
    user_id: str
    email: str


@dataclass(frozen=True)
class UserVerificationTimeoutExpired:
    user_id: str


@dataclass(frozen=True)
class RegistrationCancelled:
    user_id: str
    reason: str


@dataclass(frozen=True)
class FriendInvited:
    user_id: str
    name: str
    email: str
    friend_email: str


@dataclass(frozen=True)
class TermsChanged:
    version: str


user_registered = Event(
    "user_service.user_registered",
    source="user_service",
    payload=UserRegistered,
    key="user_id",
    subscribers=[REGISTRATION_QUEUE],
    title="User registered",
    summary="Somebody wants to be a user, and has until then to verify the address.",
)
email_corrected = Event(
    "user_service.email_corrected",
    source="user_service",
    payload=EmailCorrected,
    key="user_id",
    subscribers=[REGISTRATION_QUEUE],
    title="E-mail corrected",
    summary="The user has another address, and it was not verified before.",
)
user_verified = Event(
    "user_service.user_verified",
    source="user_service",
    payload=UserVerified,
    key="user_id",
    subscribers=[REGISTRATION_QUEUE],
    title="User verified",
    summary="The user has opened the link in the verification mail.",
)
verification_timeout_expired = Event(
    "user_service.verification_timeout_expired",
    source="user_service",
    payload=UserVerificationTimeoutExpired,
    key="user_id",
    subscribers=[REGISTRATION_QUEUE],
    title="Verification time-out expired",
    summary="The time that the user had to verify the address is over, whether or not the user has.",
)
registration_cancelled = Event(
    "user_service.registration_cancelled",
    source="user_service",
    payload=RegistrationCancelled,
    key="user_id",
    subscribers=[REGISTRATION_QUEUE],
    title="Registration cancelled",
    summary="The user is none.",
)
friend_invited = Event(
    "user_service.friend_invited",
    source="user_service",
    payload=FriendInvited,
    key="user_id",
    subscribers=[REGISTRATION_QUEUE],
    title="Friend invited",
    summary="A user wants somebody else to become one.",
)
terms_changed = Event(
    "user_service.terms_changed",
    source="user_service",
    payload=TermsChanged,
    key="version",
    subscribers=[REGISTRATION_QUEUE],
    title="Terms changed",
    summary="There are new terms of use.",
)

# ---- what may be asked of the user service ---------------------------------------------------------------------------


@dataclass(frozen=True)
class UserOfRegistration:
    user_id: str


@dataclass(frozen=True)
class Cancellation:
    user_id: str
    reason: str


expire_verification = Command(
    "user_service.expire_verification",
    queue=USERS_QUEUE,
    payload=UserOfRegistration,
    title="Expire a verification",
    summary="The time to verify is over: sent when a user registers, and not delivered before that.",
)
cancel_user_registration = Command(
    "user_service.cancel_user_registration",
    queue=USERS_QUEUE,
    payload=Cancellation,
    title="Cancel a user's registration",
    summary="Cancels it, unless the user has been verified at the last moment.",
)

# ---- the mail service ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mail:
    to: str
    subject: str


@dataclass(frozen=True)
class MailBounced:
    address: str


send_mail = Command(
    "mail_service.send_mail",
    queue=MAILS_QUEUE,
    payload=Mail,
    title="Send a mail",
    summary="Hands a mail to the mail server.",
)
mail_bounced = Event(
    "mail_service.mail_bounced",
    source="mail_service",
    payload=MailBounced,
    key="address",
    subscribers=[REGISTRATION_QUEUE],
    title="Mail bounced",
    summary="A mail has come back: the address does not exist.",
)
