"""Items come and go with features that the data set describes."""

import pytest

from tests.feedback.endpoint.world import APP, READER, SHOP, World

GOOD = {
    "schema": 1,
    "item_id": "new",
    "available": True,
    "features": {
        "title": "A film", "genre": "drama", "tags": ["a", "b"], "price": 9.5, "added": "2026-06-01T00:00:00Z"
    },
}  # fmt: skip


def test_items_are_added_changed_and_taken_down(world: World) -> None:
    first = world.ask("/v1/items", GOOD)
    assert first.status_code == 202
    version = first.json()["version"]
    assert first.json() == {"accepted": 1, "version": version, "rejected": []}
    later = world.ask(
        "/v1/items", [{"schema": 1, "item_id": "new", "available": False}, {**GOOD, "item_id": "b"}]
    )
    assert later.json()["version"] > version
    changes = {change.item_id: change for change in world.state.items(0)}
    assert (changes["new"].available, changes["new"].features) == (False, {})
    assert (changes["b"].available, changes["b"].features) == (True, GOOD["features"])
    told = world.ask(f"/v1/items?after={version}", method="GET", key=READER).json()["items"]
    assert [(each["item_id"], each["available"]) for each in told] == [("new", False), ("b", True)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": None}, "schema: is missing"),
        ({"item_id": ""}, "item_id: has 0 bytes"),
        ({"item_id": 7}, "item_id: 7 is not text"),
        ({"available": None}, "available: None is not true or false"),
        ({"available": "no"}, "available: 'no' is not true"),
        ({"features": ["x"]}, "features: ['x'] is not an object"),
        ({"features": {"colour": "red"}}, "features.colour: is no feature of items"),
        ({"features": {"price": "9"}}, "features.price: '9' is not a number"),
        ({"features": {"price": -1}}, "features.price: -1 is out of range"),
        ({"features": {"price": True}}, "features.price: True is not a number"),
        ({"features": {"genre": {}}}, "features.genre: {} is neither text"),
        ({"features": {"genre": "x" * 20_001}}, "features.genre: has 20001 characters"),
        ({"features": {"tags": ["a", ["b"]]}}, "features.tags[1]: ['b'] is neither"),
        ({"features": {"tags": ["a"] * 1001}}, "features.tags: has 1001 parts"),
        ({"features": {"added": "yesterday"}}, "features.added: 'yesterday' is not an instant"),
        ({"available_": True}, "available_: is not a field"),
    ],
)
def test_what_an_item_cannot_be(world: World, change: dict[str, object], says: str) -> None:
    answer = world.ask("/v1/items", [{**GOOD, **change}, {**GOOD, "item_id": "sound"}])
    ((rejected,), version) = answer.json()["rejected"], answer.json()["version"]
    assert rejected["reason"].startswith(says)
    assert (rejected["index"], version is None) == (0, False)
    assert [each.item_id for each in world.state.items(0)] == ["sound"]
    assert world.ask("/v1/items", {**GOOD, **change}).json()["version"] is None


@pytest.mark.parametrize(("key", "method", "status"), [
    (APP, "POST", 403), (READER, "POST", 403), (None, "POST", 401), (APP, "GET", 403), (None, "GET", 401),
    (SHOP, "GET", 200), (SHOP, "DELETE", 405),
])  # fmt: skip
def test_items_need_a_key_with_their_scope(world: World, key: str | None, method: str, status: int) -> None:
    assert world.ask("/v1/items", GOOD, key, method).status_code == status
    assert world.state.items(0) == []


def test_versions_are_whole_numbers(world: World) -> None:
    for wrong in ("-1", "x", "1.5", "9" * 30, "²"):
        assert world.ask(f"/v1/items?after={wrong}", method="GET").status_code == 400
