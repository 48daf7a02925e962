"""Exposure ids: only what this service gave to this user, lately, is believed."""

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.clock import ManualClock
from slate.errors import ConfigError, DataError
from slate.feedback.signing import Signer

KEY, OTHER = b"k" * 32, b"o" * 32
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = 86_400.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


def test_what_was_signed_is_read_back(clock: ManualClock) -> None:
    signer = Signer({"a": KEY}, clock)
    token = signer.sign("ann", "r-1", "candidate", "rollout-7", "5")
    assert token.startswith("v1.a.")
    shown = signer.check(token, "ann", DAY)
    assert (shown.release, shown.variant, shown.rollout, shown.step) == ("r-1", "candidate", "rollout-7", "5")
    assert shown.at == NOW.timestamp()
    assert "ann" not in base64.urlsafe_b64decode(token.split(".")[2] + "==").decode()
    assert token != signer.sign("ann", "r-1", "candidate", "rollout-7", "5"), "no two exposures share an id"


def test_of_many_exposures_at_one_instant_none_share_an_id(clock: ManualClock) -> None:
    signer = Signer({"a": KEY}, clock)
    assert len({signer.sign("ann", "r-1", "stable") for _ in range(2_000)}) == 2_000


def test_a_process_and_its_fork_give_different_ids() -> None:
    code = (
        "import os; from slate.feedback.signing import Signer; from slate.clock import ManualClock; "
        "from datetime import UTC, datetime; "
        "signer = Signer({'a': b'k' * 32}, ManualClock(datetime(2026, 11, 21, tzinfo=UTC))); "
        "signer.sign('ann', 'r', 'v'); child = os.fork(); "
        "os.write(1, (signer.sign('ann', 'r', 'v') + '\\n').encode()); child and os.waitpid(child, 0)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert len(set(said.split())) == 2


def test_keys_change_without_losing_what_is_under_way(clock: ManualClock) -> None:
    old = Signer({"a": KEY}, clock).sign("ann", "r-1", "stable")
    both = Signer({"b": OTHER, "a": KEY}, clock)
    assert both.check(old, "ann", DAY).release == "r-1"
    assert both.sign("ann", "r-1", "stable").startswith("v1.b.")
    with pytest.raises(DataError, match="not signed by this service"):
        Signer({"b": OTHER}, clock).check(old, "ann", DAY)


def test_of_another_user_too_old_or_of_the_future(clock: ManualClock) -> None:
    signer = Signer({"a": KEY}, clock)
    token = signer.sign("ann", "r-1", "stable")
    with pytest.raises(DataError, match="another user"):
        signer.check(token, "bob", DAY)
    clock.advance(timedelta(hours=25))
    with pytest.raises(DataError, match="90000 s old, at most 86400 s count"):
        signer.check(token, "ann", DAY)
    earlier = Signer({"a": KEY}, ManualClock(NOW - timedelta(hours=2)))
    with pytest.raises(DataError, match="of the future"):
        earlier.check(token, "ann", DAY)


@given(st.data())
def test_a_changed_id_is_never_believed(data: st.DataObject) -> None:
    signer = Signer({"a": KEY}, ManualClock(NOW))
    token = signer.sign("ann", "r-1", "stable")
    place = data.draw(st.integers(0, len(token) - 1))
    changed = token[:place] + data.draw(st.characters(codec="utf-8")) + token[place + 1 :]
    if changed != token:
        with pytest.raises(DataError, match="exposure_id"):
            signer.check(changed, "ann", DAY)


@given(st.text(max_size=300))
def test_any_text_is_refused_by_name(text: str) -> None:
    with pytest.raises(DataError, match="exposure_id"):
        Signer({"a": KEY}, ManualClock(NOW)).check(text, "ann", DAY)


def test_a_payload_of_ones_own_signed_with_a_guess_is_refused(clock: ManualClock) -> None:
    payload = json.dumps({"at": NOW.timestamp(), "user": "x", "release": "r", "variant": "v", "nonce": "n"})
    text = base64.urlsafe_b64encode(payload.encode()).rstrip(b"=").decode()
    for key in ("a", "nobody", ""):
        with pytest.raises(DataError, match="not signed"):
            Signer({"a": KEY}, clock).check(f"v1.{key}.{text}.{'A' * 43}", "ann", DAY)


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = base64.b64encode(KEY).decode()
    monkeypatch.setenv("SLATE_SIGNING_KEYS", f"a:{secret}, b:{base64.b64encode(OTHER).decode()}")
    assert Signer.from_environment().sign("ann", "r", "stable").startswith("v1.a.")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "is empty"),
        ("a:no base64!", "no base64"),
        ("a:c2hvcnQ=", "at least 16"),
        ("a.b:" + base64.b64encode(KEY).decode(), "no dot"),
    ],
)
def test_unusable_keys_are_named_and_never_shown(
    value: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLATE_SIGNING_KEYS", value)
    with pytest.raises(ConfigError, match=problem) as raised:
        Signer.from_environment()
    assert "c2hvcnQ" not in str(raised.value)
