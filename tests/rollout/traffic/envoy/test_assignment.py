"""Who meets which variant, through the real gateway, against the definition in Python."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slate.hashing import bucket
from slate.rollout.traffic.driver import Split
from slate.rollout.traffic.envoy.driver import EnvoyDriver
from tests.rollout.traffic.envoy.gateway import Gateway

#: What a header may hold: no control characters, and HTTP takes blanks off its ends.
USERS = (
    st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=60)
    .map(lambda text: text.strip(" \t"))
    .filter(bool)
)
FORGED = {
    "x_slate_variant": "candidate",
    "x_slate_bucket": "0",
    "x_slate_rollout": "mine",
    "x_slate_step": "50",
    "x_slate_allocation": "1.0",
}
ASSIGNED = tuple(name.replace("_", "-") for name in FORGED)


def test_any_user_falls_where_python_says(running: Gateway, driver: EnvoyDriver) -> None:
    running.tell(driver, Split("r-1", "25", 2500))

    @given(user=USERS)
    @settings(max_examples=300, deadline=None)
    def falls(user: str) -> None:
        answered = running.ask(user)
        found = bucket("r-1", user)
        assert answered.headers["x-slate-bucket"] == str(found)
        assert answered.variant == ("candidate" if found < 2500 else "stable")
        assert answered.headers["x-slate-variant"] == answered.variant

    falls()


def buckets_of(running: Gateway, users: int) -> list[tuple[int, str]]:
    found = []
    for number in range(users):
        answered = running.ask(f"user-{number:06d}")
        found.append((int(answered.headers["x-slate-bucket"]), answered.variant))
    return found


@pytest.mark.parametrize(
    "users", [2000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_nobody_changes_sides_as_weights_rise_and_the_gateway_starts_anew(
    running: Gateway, driver: EnvoyDriver, users: int
) -> None:
    before: list[tuple[int, str]] = []
    for step, threshold in (("1", 100), ("5", 500), ("25", 2500), ("50", 5000)):
        running.tell(driver, Split("r2", step, threshold))
        some = users if threshold == 500 else users // 10
        if threshold == 2500:
            running.kill()
            running.restart()
        met = buckets_of(running, some)
        assert met == [
            (bucket("r2", f"user-{number:06d}"), "candidate" if at < threshold else "stable")
            for number, (at, _) in enumerate(met)
        ]
        for (_, was), (_, is_now) in zip(before, met, strict=False):
            assert (was, is_now) != ("candidate", "stable"), "left treatment as it grew"
        before = met


def test_what_servers_are_told(running: Gateway, driver: EnvoyDriver) -> None:
    running.tell(driver, Split("r2", "50", 5000))
    told = running.ask("user-000001").headers
    assert {name: told[name] for name in ASSIGNED} == {
        "x-slate-variant": "candidate",
        "x-slate-bucket": "3073",
        "x-slate-rollout": "r2",
        "x-slate-step": "50",
        "x-slate-allocation": "0.5000",
    }


@pytest.mark.parametrize("rolled_out", [False, True])
def test_nobody_says_who_they_are(running: Gateway, driver: EnvoyDriver, rolled_out: bool) -> None:
    if rolled_out:
        running.tell(driver, Split("r2", "50", 10_000))
    anonymous = running.ask(**FORGED)
    assert anonymous.variant == "stable"
    assert {name: anonymous.headers.get(name) for name in ASSIGNED} == {
        "x-slate-variant": "stable",
        **dict.fromkeys(ASSIGNED[1:]),
    }
    empty = running.ask("", **FORGED)
    assert (empty.variant, empty.headers.get("x-slate-bucket")) == ("stable", None)


def test_a_forged_variant_changes_nothing(running: Gateway, driver: EnvoyDriver) -> None:
    running.tell(driver, Split("r2", "5", 3073))
    forged = running.ask("user-000001", **FORGED)
    assert forged.variant == "stable"
    assert forged.headers["x-slate-bucket"] == "3073"
    assert forged.headers["x-slate-rollout"] == "r2"


def test_outside_a_rollout_nobody_is_assigned(running: Gateway, driver: EnvoyDriver) -> None:
    answered = running.ask("user-000001")
    assert answered.variant == "stable"
    assert [name for name in ASSIGNED if name in answered.headers] == ["x-slate-variant"]


def test_a_request_has_an_id_that_is_not_the_clients(running: Gateway, driver: EnvoyDriver) -> None:
    told = [running.ask("u", x_request_id="mine").headers["x-request-id"] for _ in range(2)]
    assert "mine" not in told
    assert told[0] != told[1]


@pytest.mark.parametrize(
    ("path", "met"),
    [
        ("/v1/models/recommender:predict", "candidate"),
        ("/v2/models/recommender/infer", "candidate"),
        ("/v1/models//recommender:predict", "candidate"),
        ("/v1/events", "events"),
        ("/v1/items?after=3", "events"),
    ],
)
def test_paths(running: Gateway, driver: EnvoyDriver, path: str, met: str) -> None:
    running.tell(driver, Split("r2", "50", 10_000))
    assert running.ask("user-000001", path).variant == met


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/metrics", 404),
        ("/v2/repository/index", 404),
        ("/v1/modelsecret", 404),
        ("/v1/models/..%2f..%2fmetrics", 400),
        ("/v1/models/../../metrics", 404),
    ],
)
def test_what_is_not_for_users_is_not_there(
    running: Gateway, driver: EnvoyDriver, path: str, status: int
) -> None:
    assert running.ask("u", path) == (status, None)
    assert not list(itertools.chain.from_iterable(server.asked for server in running.servers.values()))
