"""No rung shows what is taken down, what a user blocked, or what a request excludes."""

from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.recommend.online.ladder import Ladder
from slate.recommend.request import Request, SlateItem

ITEMS = [f"item {n}" for n in range(12)]
POPULAR = [(item, 1.0 - n / 100) for n, item in enumerate(ITEMS)]
AHEAD = [SlateItem(item, 0.5, n, "two_tower") for n, item in enumerate(ITEMS[6:], start=1)]


class Live:
    """Live state that a test sets."""

    def __init__(self, down: Collection[str] = (), blocked: Collection[str] = ()) -> None:
        self.down = down
        self.of_ann = blocked
        self.broken = False

    def unavailable(self) -> Collection[str]:
        if self.broken:
            raise OSError("no live state")
        return self.down

    def blocked(self, user_id: str, /) -> Collection[str]:
        return self.of_ann if user_id == "ann" else ()


def ladder(live: Live, rung: str, monkeypatch: pytest.MonkeyPatch) -> Ladder:
    """A ladder whose best rung is ``rung``."""
    if rung == "static":
        monkeypatch.setattr("slate.recommend.fallback.popular", lambda *_: 1 // 0)
    return Ladder("r-1", POPULAR, 3, lambda _: AHEAD if rung == "precomputed" else None, live)


@pytest.mark.parametrize(
    ("rung", "items"),
    [
        ("precomputed", ["item 7", "item 9", "item 11"]),
        ("popular", ["item 1", "item 3", "item 4"]),
        ("static", ["item 1", "item 3", "item 4"]),
    ],
)
def test_each_rung_honours_every_reason(rung: str, items: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    live = Live(down=["item 0", "item 6"], blocked={"item 2", "item 8"})
    made = ladder(live, rung, monkeypatch)
    request = Request(user_id="ann", exclude=["item 10"], blocked=["item 5"])
    slate = made.descend(request)
    assert (slate.rung, slate.item_ids) == (rung, items)
    assert [item.position for item in slate.items] == [1, 2, 3]
    live.down = ["item 1", "item 7"]
    assert not {"item 1", "item 7"} & set(made.descend(request).item_ids), "at once"
    assert {"item 0", "item 6"} & set(made.descend(request).item_ids), "and put up again at once"
    bob = made.descend(Request(user_id="bob", k=12)).item_ids
    assert {"item 8"} <= set(bob), "what one user blocks is for others"


@pytest.mark.parametrize("rung", ["precomputed", "popular", "static"])
def test_live_state_that_fails_is_taken_as_it_was(rung: str, monkeypatch: pytest.MonkeyPatch) -> None:
    live = Live(down=["item 0", "item 6"])
    made = ladder(live, rung, monkeypatch)
    before = made.descend(Request(user_id="ann"))
    live.broken = True
    assert made.descend(Request(user_id="ann")) == before
    assert not {"item 0", "item 6"} & set(before.item_ids)


@given(
    down=st.sets(st.sampled_from(ITEMS)),
    blocked=st.sets(st.sampled_from(ITEMS)),
    own=st.lists(st.sampled_from(ITEMS)),
    exclude=st.lists(st.sampled_from(ITEMS)),
    k=st.integers(1, 20),
    ahead=st.booleans(),
)
def test_a_slate_is_the_best_of_what_is_left(
    down: set[str], blocked: set[str], own: list[str], exclude: list[str], k: int, ahead: bool
) -> None:
    made = Ladder("r-1", POPULAR, 3, lambda _: AHEAD if ahead else None, Live(down, blocked))
    slate = made.descend(Request(user_id="ann", exclude=exclude, blocked=own, k=k))
    denied = {*down, *blocked, *own, *exclude}
    best: list[Any] = [item.item_id for item in AHEAD if ahead and item.item_id not in denied]
    best = best or [item for item in ITEMS if item not in denied]
    assert slate.item_ids == best[:k]
