"""The toy's participant whose work somebody has to approve: the handler keeps the token, and answers later."""

from sqlalchemy import Column, Integer, MetaData, String, Table, insert

from sagas_framework import ANSWER_LATER, AnswerLater, HandlerContext, handles
from tests.support.toy import messages

toy_metadata = MetaData()
tickets = Table("toy_ticket", toy_metadata, Column("number", Integer, primary_key=True), Column("token", String))


@handles(messages.work, database_only=True)
def work(payload: messages.Work, step: HandlerContext) -> messages.Done | AnswerLater:
    step.session.execute(insert(tickets).values(number=payload.number, token=step.token))
    return ANSWER_LATER
