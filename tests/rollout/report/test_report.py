"""The page of a rollout, whatever became of it."""

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slate.cli.main import app
from slate.config import RolloutConfig
from slate.errors import NotFoundError
from slate.rollout.report.course import read_course
from slate.rollout.report.page import render
from slate.rollout.report.series import relative, segments
from slate.rollout.report.slices import read_slices
from slate.rollout.report.words import headline, margin_of
from slate.rollout.verdicts import verdict_key
from slate.storage import LocalStore
from tests.rollout.report import courses
from tests.rollout.report.courses import ID, RELEASE, STABLE, Course

#: How each begins, and what has to be on its page.
PAGES: list[tuple[Callable[[Path], Course], str, str, list[str]]] = [
    (
        courses.promoted,
        "Promoted",
        "good",
        ["is the stable release now", "began to make it stable", "Step 25"],
    ),
    (
        courses.aborted,
        "Aborted",
        "bad",
        ["p99: worse than stable", "taking it from 5% of users", "% slower than"],
    ),
    (
        courses.under_way,
        "5% of users",
        "plain",
        ["hold (blind)", "did not see all", "moved 1% of users to 5%"],
    ),
    (
        courses.in_shadow,
        "Aborted",
        "bad",
        ["bob@example.com aborted it, before any user met it: wrong &lt;rel"],
    ),
    (
        courses.inconclusive,
        "Inconclusive",
        "plain",
        ["neither to be better nor to be worse", "undecided after"],
    ),
    (courses.without_anything, "In shadow", "plain", ["No look has been recorded", "has counted nothing"]),
    (
        courses.moving,
        "93% of users",
        "plain",
        ["The share moved 7 times in step thompson, between 5% and 93%", "moved 0% of users to 5%"],
    ),
]


def paged(course: Course) -> str:
    store = course.save()
    found, config, now = read_course(store), RolloutConfig(), course.at + timedelta(minutes=5)
    slices, without = read_slices(store, found.state, config, now)
    return render(found, slices, without, config, now)


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> str:
    return paged(courses.promoted(tmp_path_factory.mktemp("promoted")))


@pytest.mark.parametrize(("make", "word", "tone", "texts"), PAGES, ids=[page[0].__name__ for page in PAGES])
def test_a_page(
    tmp_path: Path, promoted: str, make: Callable[[Path], Course], word: str, tone: str, texts: list[str]
) -> None:
    html = promoted if make is courses.promoted else paged(make(tmp_path))
    assert f'<div class="banner {tone}">\n  <div class="word">{word}</div>' in html
    for text in (*texts, RELEASE, STABLE):
        assert text in html, text
    assert "<release>" not in html
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", html, flags=re.DOTALL).lower()
    assert not re.search(r"""(src|href)=["'](?!#)|<script|url\((?!#)""", html)
    drawings = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    for drawing in drawings:
        ElementTree.fromstring(drawing)  # noqa: S314
    assert any("Share of users that met the candidate" in drawing for drawing in drawings)


def test_charts_are_of_every_step_and_guardrail(promoted: str) -> None:
    html = promoted
    for step in ("1", "5", "25", "50"):
        assert f"Engagement against stable in step {step}" in html
    for title in (
        "Errors",
        "Latency (p99)",
        "Coverage",
        "Negative actions",
        "Requests by variant",
        "p99 by variant",
    ):
        assert f'aria-label="{title}"' in html, title
    assert html.count("<td>shadow</td>") > 1
    assert "Evidence against the meant shares" in html


def test_verdicts_that_say_the_same_are_one_row(promoted: str) -> None:
    for numbers in ("1 to 23", "24", "49 to 71"):
        assert f"<td>{numbers}</td>" in promoted, numbers


def test_many_verdicts_are_read_in_part_and_all_that_moved_something(tmp_path: Path) -> None:
    course = courses.Course(tmp_path)
    course.shadow()
    for _ in range(3):
        course.look(courses.Decision.HOLD, [])
    course.number = 0
    for _ in range(900):
        course.number += 1
        key = verdict_key(ID, course.number)
        if not course.store.exists(key):
            course.store.write_new(key, course.store.read(verdict_key(ID, 1)))
    course.move(courses.RolloutStatus.CANARY, "1", 100, verdict=333)
    found = read_course(course.save())
    assert found.looks == 900
    numbers = [each.number for each in found.verdicts]
    assert len(numbers) < 450
    assert {1, 333, 900, 899, 881} <= set(numbers)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    course = courses.in_shadow(tmp_path)
    for key in (verdict_key(ID, 1), f"rollouts/{ID}/blocks/shadow/2026-06-01T09.json"):
        if course.store.exists(key):
            course.store.delete(key)
        course.store.write_new(key, b"torn")
    html = paged(course)
    assert html.count("Could not be read") == 2
    assert "000001.json: is no verdict" in html


def test_no_rollout_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no rollout has begun"):
        read_course(LocalStore(tmp_path))
    with pytest.raises(NotFoundError):
        read_course(courses.without_anything(tmp_path).save(), "r-2")


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    courses.in_shadow(tmp_path / "store").save()
    out = tmp_path / "pages" / "it.html"
    arguments = ["rollout", "report", "--store", str(tmp_path / "store"), "--out", str(out)]
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 0, ran.output
    assert "Aborted: " in ran.output
    assert '<div class="word">Aborted</div>' in out.read_text("utf-8")
    courses.without_anything(tmp_path / "other").save()
    arguments[3] = str(tmp_path / "other")
    told = json.loads(CliRunner().invoke(app, [*arguments, ID, "--json"]).stdout)
    assert (told["rollout_id"], told["status"], told["word"]) == (ID, "shadow", "In shadow")


def test_the_lead_tells_engagement_as_a_share_of_stables(tmp_path: Path) -> None:
    course = courses.promoted(tmp_path)
    found = headline(read_course(course.save()), course.at)
    assert re.search(r"against stable's: \+[34]\.\d% \(\+\d\.\d% to \+\d\.\d%\)", found.lead), found.lead


def test_a_margin_that_the_objective_allows_is_no_gain(tmp_path: Path) -> None:
    """A look says how far a candidate is above 95% of stable; a reader is told how far it is from stable."""
    same = courses.check("engagement", stable=2.0, candidate=2.0, value=0.1, low=0.06, high=0.14)
    course = courses.Course(tmp_path / "same")
    course.move(courses.RolloutStatus.CANARY, "50", 5000)
    course.look(courses.Decision.HOLD, [same])
    config = RolloutConfig(objective="non_inferiority", margin=0.05)
    found = headline(read_course(course.save()), course.at, margin_of(config))
    assert "against stable's: +0.0% (-2.0% to +2.0%)" in found.lead
    point = segments(read_course(course.store).verdicts, "engagement", relative(0.05))[0].points[0]
    assert (point.value, point.low, point.high) == pytest.approx((0.0, -2.0, 2.0))


def test_an_abort_between_looks_keeps_the_figures_of_the_last_look(tmp_path: Path) -> None:
    course = courses.Course(tmp_path)
    course.move(courses.RolloutStatus.CANARY, "5", 500)
    course.look(courses.Decision.HOLD, courses.canary_checks(9000, 0.0, 0.0, 0.05))
    broken = courses.check("errors", courses.Status.FAILED)
    course.look(courses.Decision.ABORT, [broken], "errors: 20 of the candidate's last 20 requests failed")
    course.move(courses.RolloutStatus.ABORTED, "5", 0, reason="errors: 20 of the candidate's last 20 failed")
    html = paged(course)
    assert '<div class="v">9,000</div>' in html
    assert '<div class="v">5%</div><div class="i">met the candidate at most</div>' in html
