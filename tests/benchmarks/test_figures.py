"""What is made of several runs."""

import pytest

from benchmarks.figures import Summary, percentile, ratio


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, rank) for rank in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert percentile([7.0], 50) == percentile([7.0], 99) == 7


def test_a_summary_is_the_median_with_the_range() -> None:
    assert Summary.of([9.0, 2.0, 3.0]) == Summary(median=3, low=2, high=9)


def test_a_ratio_is_that_of_the_medians_and_its_range_that_of_the_rounds() -> None:
    assert ratio([10.0, 30.0, 20.0], [10.0, 10.0, 5.0]) == Summary(median=2, low=1, high=4)


def test_a_ratio_of_unequal_numbers_of_runs_is_refused() -> None:
    with pytest.raises(ValueError, match="argument"):
        ratio([1.0], [1.0, 2.0])
