"""What a gateway says of a request, read from headers that a server may also get from elsewhere."""

import pytest

from serving.assignment import ALLOCATION, BUCKET, REQUEST, ROLLOUT, STEP, VARIANT, assignment
from slate.recommend.request import Assignment

SAID = {
    VARIANT: "candidate",
    BUCKET: "0042",
    ROLLOUT: "r-7",
    STEP: "25",
    ALLOCATION: "0.2500",
    REQUEST: "4c1e",
}


def test_all_that_a_gateway_says_is_read() -> None:
    assert assignment(SAID.get) == Assignment("candidate", "r-7", "25", 42, 0.25, "4c1e")


@pytest.mark.parametrize("variant", [None, "", "shadow", "Candidate", "candidate, stable"])
def test_without_a_variant_no_gateway_spoke(variant: str | None) -> None:
    assert assignment((SAID | {VARIANT: variant}).get) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((BUCKET, value) for value in ("", "-1", "10000", "1e3", "٣", "999999999999", "4 2")),
        *((ALLOCATION, value) for value in ("", "half", "nan", "-0.1", "1.1", "inf")),
        *((ROLLOUT, value) for value in ("", "r" * 129, "r\n7", "ré")),
        *((STEP, value) for value in ("", "5" * 129)),
    ],
)
def test_what_is_malformed_is_as_if_nobody_had_said_it(name: str, value: str) -> None:
    found = assignment((SAID | {name: value}).get)
    assert found is not None
    place = {BUCKET: found.bucket, ALLOCATION: found.allocation, ROLLOUT: found.rollout_id, STEP: found.step}
    assert place.pop(name) is None
    assert None not in place.values()
