"""Parts of a release's users."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.errors import ConfigError
from slate.recommend.precompute.partition import Partition


@given(st.integers(1, 40), st.integers(0, 500), st.integers(1, 5))
def test_every_row_is_in_one_partition_and_parts_of_parts_are_the_same_rows(
    count: int, total: int, parts: int
) -> None:
    partitions = [Partition(index, count) for index in range(count)]
    assert [row for own in partitions for row in own.rows(total)] == list(range(total))
    for own in partitions:
        assert [row for part in own.split(parts) for row in part.rows(total)] == list(own.rows(total))


def test_partitions_are_as_equal_as_can_be() -> None:
    assert [len(Partition(index, 3).rows(11)) for index in range(3)] == [3, 4, 4]


@pytest.mark.parametrize("text", ["8/8", "1", "-1/2", "1/0", "a/b", "1/2/3", " 0/1", "0/1\n", "1.0/2", ""])
def test_what_is_no_partition_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not i/n"):
        Partition.parse(text)


def test_a_partition_is_spelled_as_it_is_read() -> None:
    assert Partition.parse("07/12") == Partition(7, 12)
    assert str(Partition.parse("0/1")) == "0/1"
