"""Twenty processes race for one channel of a local store. Run as a program by test_race.py."""

import json
import multiprocessing
import sys
from multiprocessing.synchronize import Barrier

from slate.errors import ConflictError
from slate.release.channels import move_channel
from slate.storage import open_store


def race(uri: str, ids: list[str], rounds: int, name: str, barrier: Barrier, won: list[str]) -> None:
    store = open_store(uri)
    for number in range(rounds):
        barrier.wait(60)
        try:
            move_channel(store, "stable", ids[number % 2], "race", name, expected_sequence=number)
        except ConflictError:
            continue
        won.append(f"{number} {name}")


def main() -> None:
    case = json.loads(sys.argv[1])
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        won = manager.list()
        barrier = context.Barrier(case["publishers"])
        racers = [
            context.Process(
                target=race, args=(case["uri"], case["ids"], case["rounds"], f"p{n}", barrier, won)
            )
            for n in range(case["publishers"])
        ]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        print(json.dumps({"won": list(won), "exits": [r.exitcode for r in racers]}))


if __name__ == "__main__":
    main()
