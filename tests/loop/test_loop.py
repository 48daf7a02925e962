"""Real processes over HTTP: what users do and what the shop sends changes the next slate, and a state that
is killed changes nothing but that."""

import time

from slate.recommend.precompute.form import packed
from slate.recommend.stages.records import Picked
from tests.loop.conftest import Loop


def test_events_and_items_change_the_next_slate_and_a_killed_state_stops_no_answer(loop: Loop) -> None:
    _a_like_changes_the_next_slate(loop)
    _a_takedown_overrides_the_release(loop)
    _a_new_item_is_found(loop)
    _a_precomputed_slate_answers_traffic_of_low_value(loop)
    if loop.redis is not None:
        _a_killed_state_costs_freshness_only(loop)


def _a_like_changes_the_next_slate(loop: Loop) -> None:
    for user in ("p1", "a stranger"):
        before = loop.slate(user_id=user, k=5)
        liked = before["items"][1]["item_id"]
        loop.does(user, liked, exposure_id=before["exposure_id"])
        loop.until(
            f"like of {user}", lambda user=user, liked=liked: liked not in loop.items(user_id=user, k=5)
        )  # type: ignore[misc]
        after = loop.slate(user_id=user, k=5)
        assert after["rung"] == "personalised"
        same = loop.slate(user_id=user, k=5)
        assert [i["item_id"] for i in same["items"]] == [i["item_id"] for i in after["items"]]
        scores = {item["item_id"]: item["score"] for item in before["items"]}
        changed = [i for i in after["items"] if i["score"] != scores.get(i["item_id"])]
        assert changed, "it entered the history, so scores are others"


def _a_takedown_overrides_the_release(loop: Loop) -> None:
    best = loop.items(user_id="p2", k=3)[0]
    loop.puts(best, available=False)
    loop.until("takedown", lambda: best not in loop.items(user_id="p2", k=3))
    assert loop.metric('slate_live_items{kind="taken_down"}') == 1
    loop.puts(best)
    loop.until("put up again", lambda: best in loop.items(user_id="p2", k=3))


def _a_new_item_is_found(loop: Loop) -> None:
    assert "brand new" not in loop.items(user_id="p3", k=60)
    loop.puts("brand new", genre="war", minutes=100)
    loop.until("new item", lambda: "brand new" in loop.items(user_id="p3", k=60))
    (item,) = (each for each in loop.slate(user_id="p3", k=60)["items"] if each["item_id"] == "brand new")
    assert item["source"] == "two_tower"
    loop.does("p3", "brand new")
    loop.until("like of a new item", lambda: "brand new" not in loop.items(user_id="p3", k=60))
    loop.puts("brand new", available=False)
    loop.until("takedown of a new item", lambda: "brand new" not in loop.items(user_id="p4", k=60))


def _a_precomputed_slate_answers_traffic_of_low_value(loop: Loop) -> None:
    items = [f"film {n:02d}, é" for n in range(1, 6)]
    scores, others = [0.5 - n / 100 for n in range(5)], (["two_tower"] * 5, [1.0] * 5)
    state = loop.state()
    state.put_slates("another release", {"p5": packed(Picked(items[::-1], scores, *others))}, 600)
    low = {"user_id": "p5", "k": 3, "context": {"surface": "footer"}}
    assert loop.slate(**low)["rung"] == "personalised", "there is none of this release"
    state.put_slates(loop.release_id, {"p5": packed(Picked(items, scores, *others))}, 600)
    state.block("p5", [items[0]])
    answer = loop.slate(**low)
    assert answer["rung"] == "precomputed"
    assert [item["item_id"] for item in answer["items"]] == items[1:4]
    assert [item["position"] for item in answer["items"]] == [1, 2, 3]
    assert loop.slate(user_id="p5", k=3)["rung"] == "personalised"
    loop.puts(items[1], available=False)
    loop.until("takedown of a precomputed item", lambda: items[1] not in loop.items(**low))
    assert loop.metric('slate_precomputed_total{result="hit"}') >= 2
    assert loop.metric('slate_precomputed_total{result="miss"}') >= 1
    state.close()


def _a_killed_state_costs_freshness_only(loop: Loop) -> None:
    assert loop.redis is not None
    down = "film 02, é"
    fresh = loop.slate(user_id="p1", k=5)
    loop.redis.kill()
    took = []
    for _ in range(30):
        began = time.monotonic()
        answer = loop.slate(user_id="p1", k=5)
        took.append(time.monotonic() - began)
        assert (answer["rung"], len(answer["items"])) == ("personalised", 5)
        assert down not in [item["item_id"] for item in answer["items"]], "it stays down"
    loop.told["slowest answer without the state"] = max(took)
    failures = 'slate_state_failures_total{operation="users",reason="failed"}'
    assert loop.metric(failures) >= 1
    assert loop.metric('slate_state_failures_total{operation="users",reason="paused"}') >= 1
    assert loop.redis.start()
    as_before = [item["item_id"] for item in fresh["items"]]
    loop.until("back", lambda: loop.items(user_id="p1", k=5) == as_before, within=60)
