"""What the user service does when a process manager asks."""

from examples.user_registration.messages import (
    Cancellation,
    RegistrationCancelled,
    UserOfRegistration,
    UserVerificationTimeoutExpired,
    cancel_user_registration,
    expire_verification,
)
from examples.user_registration.user_service.models import CANCELLED, REGISTERED, User
from sagas_framework import HandlerContext, handles


@handles(expire_verification, database_only=True)
def expire(payload: UserOfRegistration, step: HandlerContext) -> None:
    step.publish(UserVerificationTimeoutExpired(payload.user_id))


@handles(cancel_user_registration, database_only=True)
def cancel(payload: Cancellation, step: HandlerContext) -> None:
    user = step.session.get_one(User, payload.user_id, with_for_update=True)
    if user.status != REGISTERED:  # verified while the command was under way, or cancelled already
        return
    user.status, user.reason = CANCELLED, payload.reason
    step.publish(RegistrationCancelled(user.id, payload.reason))
