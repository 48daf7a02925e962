import math

import pytest

from slate.recommend.problems import problem_in


@pytest.mark.parametrize(
    ("items", "scores", "known", "problem"),
    [
        (["a", "b"], [0.5, -1.0], True, ""),
        ([], [], True, ""),
        (["a", "a"], [0.5, 0.5], True, "an item is in it twice"),
        (["a", "b"], [0.5, 0.5], False, "an item is unknown"),
        (["a", "b"], [0.5, math.inf], True, "a score is not finite"),
        (["a", "b"], [math.nan, 0.5], True, "a score is not finite"),
    ],
)
def test_what_may_not_go_out_is_named(
    items: list[str], scores: list[float], known: bool, problem: str
) -> None:
    assert problem_in(items, scores, known=known) == problem
