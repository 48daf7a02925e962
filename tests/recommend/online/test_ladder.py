"""No rung shows what is taken down, what a user blocked, or what a request excludes."""

import asyncio
from collections.abc import Collection, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.feedback.state import Happened
from slate.recommend.live import LiveUser
from slate.recommend.online.ladder import Ladder
from slate.recommend.request import Request, Slate, SlateItem
from tests.recommend.live.said import Said

ITEMS = [f"item {n}" for n in range(12)]
POPULAR = [(item, 1.0 - n / 100) for n, item in enumerate(ITEMS)]
AHEAD = [SlateItem(item, 0.5, n, "two_tower") for n, item in enumerate(ITEMS[6:], start=1)]


def of_ann(
    down: Collection[str] = (), blocked: Collection[str] = (), met: Sequence[str] = (), ahead: bool = True
) -> Said:
    """What is known of ann, and with ``ahead`` a slate that was made ahead for her and bob."""
    happened = [Happened(f"e-{n}", item, "like", 1.0 + n) for n, item in enumerate(met)]
    known = {"ann": LiveUser(happened, frozenset(blocked))}
    return Said(down, known, {"ann": AHEAD, "bob": AHEAD} if ahead else {})


def descend(made: Ladder, request: Request) -> Slate:
    return asyncio.run(made.descend(request))


def ladder(live: Said, rung: str, monkeypatch: pytest.MonkeyPatch) -> Ladder:
    """A ladder whose best rung is ``rung``."""
    if rung == "static":
        monkeypatch.setattr("slate.recommend.fallback.popular", lambda *_: 1 // 0)
    if rung != "precomputed":
        live.slates.clear()
    return Ladder("r-1", POPULAR, 3, live)


@pytest.mark.parametrize(
    ("rung", "items"),
    [
        ("precomputed", ["item 7", "item 9", "item 11"]),
        ("popular", ["item 1", "item 3", "item 4"]),
        ("static", ["item 1", "item 3", "item 4"]),
    ],
)
def test_each_rung_honours_every_reason(rung: str, items: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    live = of_ann(down=["item 0", "item 6"], blocked={"item 2", "item 8"})
    made = ladder(live, rung, monkeypatch)
    request = Request(user_id="ann", exclude=["item 10"], blocked=["item 5"])
    slate = descend(made, request)
    assert (slate.rung, slate.item_ids) == (rung, items)
    assert [item.position for item in slate.items] == [1, 2, 3]
    live.down = ["item 1", "item 7"]
    assert not {"item 1", "item 7"} & set(descend(made, request).item_ids), "at once"
    assert {"item 0", "item 6"} & set(descend(made, request).item_ids), "and put up again at once"
    bob = descend(made, Request(user_id="bob", k=12)).item_ids
    assert {"item 8"} <= set(bob), "what one user blocks is for others"


@pytest.mark.parametrize("rung", ["precomputed", "popular", "static"])
def test_live_state_that_fails_is_taken_as_it_was(rung: str, monkeypatch: pytest.MonkeyPatch) -> None:
    live = of_ann(down=["item 0", "item 6"])
    made = ladder(live, rung, monkeypatch)
    before = descend(made, Request(user_id="ann"))
    live.broken = True
    assert descend(made, Request(user_id="ann")) == before
    assert not {"item 0", "item 6"} & set(before.item_ids)


@given(
    down=st.sets(st.sampled_from(ITEMS)),
    blocked=st.sets(st.sampled_from(ITEMS)),
    own=st.lists(st.sampled_from(ITEMS)),
    exclude=st.lists(st.sampled_from(ITEMS)),
    k=st.integers(1, 20),
    met=st.lists(st.sampled_from(ITEMS)),
    ahead=st.booleans(),
)
def test_a_slate_is_the_best_of_what_is_left(
    down: set[str],
    blocked: set[str],
    own: list[str],
    exclude: list[str],
    k: int,
    met: list[str],
    ahead: bool,
) -> None:
    made = Ladder("r-1", POPULAR, 3, of_ann(down, blocked, met, ahead))
    slate = descend(made, Request(user_id="ann", exclude=exclude, blocked=own, k=k))
    denied = {*down, *blocked, *own, *exclude}
    unmet = [item for item in ITEMS if item not in denied.union(met)]
    best = [item.item_id for item in AHEAD if ahead and item.item_id in unmet] or unmet
    # Where nothing else is left, what was met is better than nothing.
    best = best or [item for item in ITEMS if item not in denied]
    assert slate.item_ids == best[:k]
