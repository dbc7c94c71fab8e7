"""A duplicate is told from another event of the same number by what is remembered of the last few."""

import uuid

import pytest

from sagas_framework.events.progress import REMEMBERED, Progress
from sagas_framework.storage.schema import event_streams
from sagas_framework.vocabulary.identity import new_message_id

NOW = 1_700_000_000_000


def id_at(milliseconds: int, rest: int = 0) -> str:
    """A UUID of version 7."""
    return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | 0x2 << 62 | rest))


def after(*ids: str) -> Progress:
    progress = Progress(0)
    for one in ids:
        progress = progress.after(one)
    return progress


IDS = [id_at(NOW + number) for number in range(1, 21)]


def test_the_last_few_are_known_again_and_another_of_their_numbers_is_too() -> None:
    progress = after(*IDS)
    for number in range(len(IDS) - REMEMBERED + 1, len(IDS) + 1):
        assert not progress.is_another(number, IDS[number - 1])
        assert progress.is_another(number, new_message_id())


@pytest.mark.parametrize(("later", "another"), [(-1, False), (60_000, False), (60_001, True)])
def test_of_what_is_not_remembered_any_more_the_time_tells(later: int, another: bool) -> None:
    assert after(*IDS).is_another(3, id_at(NOW + 20 + later)) is another


@pytest.mark.parametrize("id_", ["0aedff94-4045-4817-a8df-cbf7478d7527", "a stranger's"])
def test_who_names_his_messages_otherwise_is_known_by_the_last_few_and_else_taken_for_a_duplicate(id_: str) -> None:
    assert not after(*IDS[:3], id_).is_another(4, id_) and after(*IDS[:3], id_).is_another(4, id_ + "!")
    assert not after(*IDS).is_another(3, id_) and not after(*["a stranger's"] * 20).is_another(3, id_at(NOW))


def test_what_is_taken_back_is_forgotten_and_what_was_before_it_is_not() -> None:
    progress = after(*IDS).before(18)
    assert progress.handled == 17 and progress == Progress(17, after(*IDS[:17]).recent[16 * 3 :])
    assert after(*IDS).before(2) == Progress(1)
    assert not after(*IDS).before(18).after(IDS[0]).is_another(18, IDS[0])


def test_who_has_skipped_what_was_missing_takes_it_for_a_duplicate() -> None:
    assert not Progress(7).is_another(7, new_message_id())


def test_it_fits_in_its_column() -> None:
    assert len(after(*IDS).recent) == event_streams.c.recent.type.length  # type: ignore[attr-defined]
