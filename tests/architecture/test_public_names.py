"""What applications may rely on is one short list; a name comes or goes only on purpose."""

import sagas_framework

PUBLIC = """
    ANSWER_LATER COMPENSATABLE PIVOT RETRIABLE AnswerLater AnswerRefused AsyncStep Broker Command DefinitionError
    Event EventContext EventSourcedProcessManager Execution Failure FailureKind HandlerContext OperationRefused
    Operations Orchestrator Participant ProcessManager Refusal RetryPolicy Saga SagaBuilder SagaContext SagaFailed
    SagaHandle SagaStatus SagasError Sleep StepContext Subscriber SyncStep TransientError UnknownSaga WaitForSignal
    WaitTimedOut applies child_saga choice create_orchestrator create_participant create_subscriber
    failure_task_name handles include parallel reading_session saga_step_handler send starts step_context
    success_task_name upgrade_database when
"""


def test_the_public_names_are_these() -> None:
    assert sorted(sagas_framework.__all__) == sorted(PUBLIC.split())


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    for name in sagas_framework.__all__:
        value = getattr(sagas_framework, name)
        assert value is not None
        if callable(value):
            assert value.__doc__, name
