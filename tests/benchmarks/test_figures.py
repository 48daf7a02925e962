"""From records to figures, targets and pages, on records with known answers."""

from typing import Any, ClassVar

import numpy as np
import pytest

from benchmarks.serving.capacity import climb, sustained
from benchmarks.serving.generator import BROKEN, TIMED_OUT, Record
from benchmarks.serving.overload import recovery, together
from benchmarks.serving.paced import answered
from benchmarks.serving.summary import medians, percentile, summarise
from benchmarks.serving.swaps import Turn, told
from benchmarks.serving.table import markdown
from benchmarks.serving.targets import targets


def record(waits_ms: list[float], status: list[int] | None = None, gap: float = 0.1) -> Record:
    """Requests ``gap`` seconds apart with given waits, good where the status is 200."""
    intended = 100.0 + gap * np.arange(len(waits_ms))
    made = Record.of(intended)
    made.noticed[:] = intended + 0.001
    made.done[:] = intended + np.asarray(waits_ms) / 1000
    made.status[:] = status or [200] * len(waits_ms)
    made.good[:] = made.status == 200
    return made


def test_a_summary_counts_and_times() -> None:
    found = summarise(
        record([10, 20, 300, 40, 5, 2000, 7], [200, 200, 200, 200, 429, TIMED_OUT, BROKEN]), 0.7, 200
    )
    assert (found.sent, found.good, found.refused, found.failed) == (7, 4, 1, 2)
    assert found.offered == pytest.approx(10)
    assert found.goodput == pytest.approx(3 / 0.7)
    assert found.worst == pytest.approx(300)
    assert found.whole_p99 == pytest.approx(2000)
    assert found.refused_p99 == pytest.approx(5)
    assert found.lateness_p99 == pytest.approx(1)


def test_percentiles_are_of_values_that_were_there() -> None:
    values = np.arange(1.0, 101.0)
    assert percentile(values, 99) == 100 or percentile(values, 99) == 99
    assert percentile(values, 50) in (50, 51)
    assert percentile(values[:0], 99) is None


def test_a_backlog_is_not_sustained_though_all_answers_are_in_time() -> None:
    growing = record([150 * place / 100 for place in range(100)], gap=0.01)
    assert summarise(growing, 1.0, 200).goodput == pytest.approx(100)
    assert not sustained(growing, summarise(growing, 1.0, 200), 1.0)
    level = record([10] * 100, gap=0.01)
    assert sustained(level, summarise(level, 1.0, 200), 1.0)


@pytest.mark.parametrize("first", [30.0, 95.0, 400.0], ids=["far below", "near", "far above"])
def test_the_highest_rate_that_holds_is_found_to_a_step(first: float) -> None:
    tried: list[float] = []

    def holds(rate: float) -> bool:
        tried.append(rate)
        return rate <= 100

    climb(first, holds)
    assert max(rate for rate in tried if rate <= 100) >= 79
    assert len(tried) <= 28


def test_a_rate_that_fails_by_chance_is_tried_once_more() -> None:
    tried: list[float] = []

    def holds(rate: float) -> bool:
        tried.append(rate)
        return rate <= 100 and tried.count(rate) > 1

    climb(50.0, holds)
    assert max(rate for rate in tried if rate <= 100) >= 79


def test_too_many_failures_are_not_sustained() -> None:
    some = record([10] * 100, [200] * 90 + [503] * 10, gap=0.01)
    assert not sustained(some, summarise(some, 1.0, 200), 1.0)


def test_recovery_ends_with_the_last_answer_that_was_late_or_refused() -> None:
    assert recovery(record([10] * 10), 200) == 0
    assert recovery(record([10] * 10, [200] * 3 + [503] + [200] * 6), 200) == pytest.approx(0.31)
    assert recovery(record([10, 10, 400, 10]), 200) == pytest.approx(0.6)


def test_requests_planned_in_a_swap_are_told_from_the_steady_ones() -> None:
    made = record([10] * 10 + [30] * 5 + [10] * 10)
    made.release[:] = [0] * 12 + [1] * 13
    made.mixed[13] = True
    made.status[24] = 503
    found = told([Turn(made, [(100.95, 101.45)], until=102.45, rate=10)], wanted=1)
    assert found["requests"] == 25
    assert found["requests_during"] == 5
    assert (found["failed"], found["mixed"], found["releases_seen"]) == (1, 1, 2)
    assert found["ratio"] == pytest.approx(3)
    later = told([Turn(made, [(100.95, 101.45)], until=102.35, rate=10)], wanted=1)
    assert (later["requests"], later["failed"]) == (24, 0)
    turns = [Turn(made, [(100.95, 101.45)], until=102.45, rate=rate) for rate in (10, 20, 40)]
    both = told(turns, wanted=3)
    assert (both["swaps"], both["failed"], both["requests_during"]) == (3, 3, 15)
    assert (both["rate"], both["rates"], both["ratio"]) == (20, [10, 20, 40], pytest.approx(3))
    assert told([], wanted=3)["ratio"] is None


def test_overloads_are_medians_of_their_best_or_of_what_was_offered() -> None:
    def step(multiple: int, goodput: float, failed: int = 0) -> dict[str, Any]:
        return {"multiple": multiple, "offered": 100.0 * multiple, "goodput": goodput, "failed": failed}

    rounds = [
        [step(1, 96.0), step(2, 60.0, failed=1)],
        [step(1, 99.0), step(2, 120.0, failed=2)],
        [step(1, 90.0), step(2, 126.0)],
    ]
    assert together(rounds) == [
        {**step(1, 96.0), "of_peak": 0.96},
        {**step(2, 120.0, failed=3), "of_peak": 1.0},
    ]


def test_medians_pass_over_what_was_never_there() -> None:
    assert medians([{"a": 1, "b": None}, {"a": 3, "b": None}, {"a": 9, "b": 4}]) == {"a": 3, "b": 4}


def figures(p99: float) -> dict[str, float | None]:
    told = summarise(record([p99]), 1, 200).plain()
    return {**told, "p99": p99}


RESULTS = {
    "facts": {
        "command": "slate bench serving",
        "date": "2026-11-21",
        "revision": "abc",
        "seconds": 1.0,
        "processor": "one",
        "cores": 2,
        "load": 0.1,
        "server_core": "0",
        "generator_core": "1",
        "deadline_ms": 200.0,
        "versions": {"kserve": "0.21.0"},
    },
    "worlds": {
        "made-up": {
            "items": 1000,
            "bare": {"1": {"requests_per_s": 100.0}, "8": {"requests_per_s": 400.0}},
            "starts": {
                name: {"ready_s": 3.0, "first_ms": 30.0, "memory_mib": 500.0} for name in ("slate", "kserve")
            },
            "capacity": {
                "slate": {"saturation": 300.0, "peak_goodput": 310.0},
                "kserve": {"saturation": 100.0, "peak_goodput": 110.0},
            },
            "latency": {
                "shared": {
                    "rate": 80.0,
                    "servers": {"slate": figures(10.0), "kserve": figures(30.0)},
                    "alone": figures(4.0),
                },
                "fixed": {"rate": 100.0, "servers": {"slate": figures(12.0)}, "alone": figures(5.0)},
            },
            "overload": [
                {**figures(20.0), "multiple": 1, "of_peak": 1.0, "recovery_s": 0.0, "refused_p99": None},
                {**figures(90.0), "multiple": 10, "of_peak": 0.8, "recovery_s": 1.0, "refused_p99": 9.0},
            ],
        }
    },
    "noop": {"connections_16": {"slate": 9000.0, "kserve": 2000.0, "ratio": 4.5, "rounds": 3}},
    "swaps": {"swaps": 40, "wanted": 50, "failed": 0, "mixed": 0, "ratio": 1.2},
    "faults": {
        "deadline_ms": 200.0,
        "worst_ms": 203.0,
        "beyond_ms": 3.0,
        "cells": [{"stage": "score", "trouble": "hangs", "worst_ms": 203.0, "rungs": {"popular": 8}}],
    },
    "skipped": {"mlserver": "has no environment | at all"},
}


def test_targets_are_judged_by_the_issue_s_bounds() -> None:
    found = {target.name: (round(target.value, 3), target.met) for target in targets(RESULTS)}
    assert found == {
        "made-up: p99 over stock KServe's at 80% of its saturation": (0.333, False),
        "made-up: sustained throughput over the bare stages": (0.75, True),
        "made-up: p99 at 100 requests a second, ms": (12.0, True),
        "made-up: first request over steady p99": (2.5, False),
        "made-up: goodput over its peak or what was offered, 1 to 10 times saturation": (0.8, False),
        "made-up: p99 of refusals, ms": (9.0, True),
        "made-up: recovery from overload, s": (1.0, True),
        "requests that compute nothing, over stock KServe": (4.5, True),
        "swaps that were made": (40, False),
        "swaps: failed requests": (0, True),
        "swaps: answers that mix releases": (0, True),
        "swaps: p99 during over steady": (1.2, True),
        "24 troubles: worst answer beyond the deadline, ms": (3.0, True),
    }


def test_the_page_names_what_was_missed_and_what_was_not_measured() -> None:
    page = markdown({**RESULTS, "targets": [target.plain() for target in targets(RESULTS)]})
    assert "| made-up: p99 over stock KServe's at 80% of its saturation | ≤ 0.25 | 0.333 | **no** |" in page
    assert "| mlserver | has no environment \\| at all |" in page
    assert page.count("| *the stages alone* |") == 2
    assert "| score | hangs | 203 | popular |" in page


def test_a_picture_of_whatever_was_measured(tmp_path: object) -> None:
    from pathlib import Path

    from benchmarks.serving.plot import draw

    out = Path(str(tmp_path)) / "x.svg"
    assert draw(RESULTS, out)
    assert "sustained requests/s" in out.read_text(encoding="utf-8")
    assert not draw({"worlds": {}}, out)


def test_the_stages_alone_take_what_is_due_together_and_wait_for_the_rest() -> None:
    import time

    class Funnel:
        batches: ClassVar[list[list[int]]] = []

        def slates(self, requests: list[int]) -> None:
            self.batches.append(requests)
            time.sleep(0.05)

    planned = np.array([0.0, 0.01, 0.02, 0.03, 0.2])
    made = answered(Funnel(), list(range(5)), planned)
    assert Funnel.batches == [[0], [1, 2, 3], [4]]
    waits = made.done - made.intended
    assert waits[3] > 0.06, "it waited for the first and was worked at"
    assert 0.05 <= waits[4] < 0.3
    assert made.good.all()
