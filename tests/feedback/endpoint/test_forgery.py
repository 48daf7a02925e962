"""Exposure ids that no server gave to this user, or not lately, never make an outcome."""

import base64
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Final

import pytest

from slate.errors import SlateError
from slate.feedback.endpoint.attribution import attribute
from slate.feedback.endpoint.schema import Checked
from slate.feedback.signing import Signer
from tests.feedback.endpoint.world import NOW, World

TOKENS: Final = 12_000
WINDOW: Final = 86_400.0
ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

Change = Callable[[random.Random, str, World], str]


def payload_of(token: str) -> dict[str, object]:
    text = token.split(".")[2]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


def with_payload(token: str, payload: dict[str, object]) -> str:
    version, key, _, signature = token.split(".")
    text = base64.urlsafe_b64encode(json.dumps(payload, separators=(",", ":")).encode()).decode().rstrip("=")
    return f"{version}.{key}.{text}.{signature}"


def another_character(chance: random.Random, token: str, _: World) -> str:
    place = chance.randrange(len(token))
    return token[:place] + chance.choice(ALPHABET.replace(token[place], "")) + token[place + 1 :]


def cut(chance: random.Random, token: str, _: World) -> str:
    return token[: chance.randrange(len(token))]


def longer(chance: random.Random, token: str, _: World) -> str:
    place = chance.randrange(len(token) + 1)
    return token[:place] + chance.choice([*ALPHABET, "=", " ", "\n", "é"]) + token[place:]


def swapped_parts(chance: random.Random, token: str, world: World) -> str:
    other = world.signer.sign("ann", f"r{chance.randrange(9)}", "stable")
    mine, theirs = token.split("."), other.split(".")
    return ".".join([*mine[:3], theirs[3]] if chance.random() < 0.5 else [*mine[:2], theirs[2], mine[3]])


def other_key(chance: random.Random, token: str, world: World) -> str:
    name = chance.choice(["k1", "k2", "", "K1"])
    secret = chance.randbytes(chance.choice([16, 32]))
    return Signer({name or "x": secret}, world.clock).sign("ann", "r1", "stable")


def altered_payload(chance: random.Random, token: str, _: World) -> str:
    payload = payload_of(token)
    name = chance.choice(sorted(payload))
    return with_payload(token, {**payload, name: chance.choice(["x", 1e12, chance.random(), [], True, ""])})


def shifted(chance: random.Random, token: str, _: World) -> str:
    at = NOW.timestamp() + chance.uniform(-1e6, 1e6)
    return with_payload(token, {**payload_of(token), "at": round(at, 3)})


def of_another_user(chance: random.Random, _: str, world: World) -> str:
    return world.signer.sign(f"user{chance.randrange(1000)}", "r1", "stable")


def expired(chance: random.Random, _: str, world: World) -> str:
    age = WINDOW + chance.uniform(0.01, 1e6)
    world.later(-age)
    token = world.signer.sign("ann", "r1", "stable")
    world.later(age)
    return token


def of_the_future(chance: random.Random, _: str, world: World) -> str:
    ahead = chance.uniform(61, 1e6)
    world.later(ahead)
    token = world.signer.sign("ann", "r1", "stable")
    world.later(-ahead)
    return token


def of_a_shadow(_: random.Random, __: str, world: World) -> str:
    return world.signer.sign("ann", "r1", "shadow")


CHANGES: Final[tuple[Change, ...]] = (
    another_character, cut, longer, swapped_parts, other_key, altered_payload, shifted, of_another_user,
    expired, of_the_future, of_a_shadow,
)  # fmt: skip


def event(exposure_id: str) -> Checked:
    return Checked("e", "ann", "i7", "like", None, NOW, exposure_id)


@pytest.mark.parametrize("seed", [20_261_121])
def test_no_changed_exposure_id_is_believed(world: World, seed: int) -> None:
    chance = random.Random(seed)
    believed: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    for number in range(TOKENS):
        change = CHANGES[number % len(CHANGES)]
        sound = world.signer.sign("ann", "r1", "stable")
        forged = change(chance, sound, world)
        assert forged != sound
        tried[change.__name__] += 1
        try:
            attribute(event(forged), world.signer, WINDOW)
        except SlateError:
            continue
        believed[change.__name__] += 1
    assert tried.total() == TOKENS
    assert not believed
    # The measure itself: unchanged ones are believed.
    assert all(
        attribute(event(world.signer.sign("ann", "r1", "stable")), world.signer, WINDOW) for _ in range(100)
    )


def test_forged_ids_over_http_reach_neither_queue_nor_metrics(world: World) -> None:
    chance = random.Random(7)
    forged = [
        change(chance, world.signer.sign("ann", "r1", "stable"), world)
        for change in CHANGES
        for _ in range(50)
    ]
    for key in (None, "reader-secret-0123456789"):
        assert world.ask(body=[world.event(exposure_id=each) for each in forged], key=key).status_code in (
            401,
            403,
        )
    answer = world.ask(body=[world.event(exposure_id=each) for each in forged]).json()
    assert (answer["accepted"], len(answer["rejected"])) == (0, len(forged))
    assert not world.records()
