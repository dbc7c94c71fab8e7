"""What runs beside the consumer goes on, whatever a round of it raises."""

import threading

import pytest

from sagas_framework.delivery import thread
from sagas_framework.delivery.thread import DeliveryThread


@pytest.mark.parametrize("error", [ValueError("odd"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_nothing_that_a_round_raises_ends_the_thread(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread, "FIRST_BACKOFF_SECONDS", 0.01)
    went_on, rounds = threading.Event(), 0

    def chore() -> float:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            raise error
        went_on.set()
        return 60.0

    runner = DeliveryThread(chore)
    runner.start()
    assert went_on.wait(10)
    runner.stop()
    runner.join(10)
    assert not runner.is_alive()
