import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest

from slate.config import EvaluationConfig, GateConfig
from slate.data.vocabulary import IdMap
from slate.evaluation.measure import measure
from slate.evaluation.report import render, write_report
from slate.evaluation.report_inputs import ReportInputs, SampleSlate
from slate.evaluation.report_models import index, learning, ranker
from slate.evaluation.report_quality import headline, slices
from slate.release.verdict import Check, Verdict

EVIL = "<script>alert('x')</script> & \"quotes\""


def _ranker(seed):
    def rank(targets, k):
        rng = np.random.default_rng(seed)
        return np.stack([rng.permutation(12)[:k] for _ in range(len(targets))]).astype(np.int32)

    return rank


@pytest.fixture(scope="module")
def evaluation(make_targets):
    return measure(
        make_targets([(f"u{n % 9}", n % 12, []) for n in range(36)]),
        {"funnel": _ranker(1), "popularity": _ranker(2), "champion": _ranker(3)},
        IdMap.of([f"i{n}" for n in range(12)]),
        np.array([40, 30, 20, 9, 8, 7, 6, 5, 4, 3, 2, 0]),
        EvaluationConfig(ks=(3, 5), k=3, bootstrap=100),
        protocol="temporal",
        attributes={"gender": {f"u{n}": EVIL if n % 2 else "F" for n in range(9)}},
        item_attributes={"studio": [EVIL if n % 3 else "small" for n in range(12)]},
        skipped={"ease": "12 items are too many"},
    )


@pytest.fixture(scope="module")
def full(evaluation, make_explanations):
    return ReportInputs(
        title=f"films {EVIL}",
        generated_at="2026-03-04",
        verdict=Verdict(
            status="refused",
            checks=(
                Check(name="users", value=9, threshold=5, passed=True, detail="9 users."),
                Check(name="index_recall", value=0.4, threshold=0.95, passed=False, detail=f"Broken {EVIL}"),
                Check(name="slice cold users", passed=True, detail="Too few."),
                Check(name="quality gap gender: F", passed=True, threshold=-0.01, detail="Alike."),
                Check(name=f"exposure gap studio: {EVIL}", passed=False, threshold=-0.2, detail="Hidden."),
            ),
        ),
        gate=GateConfig(quality_gap=0.3, exposure_gap=None, min_slice_users=7),
        evaluation=evaluation,
        explanations=make_explanations(EVIL),
        dataset={
            "rows": {"read": 41, "kept": 36, "dropped": {"no_event": 5}},
            "users": 9,
            "items": 12,
            "first": "2026-01-01T00:00:00Z",
            "last": "2026-01-09T00:00:00Z",
            "events": {"like": 30, EVIL: 6},
        },
        split={
            "protocol": "temporal",
            "train_end": "2026-01-05T00:00:00Z",
            "valid_end": "2026-01-07T00:00:00Z",
            "watermark": "2026-01-09T00:00:00Z",
            "rows": {"train": 20, "valid": 8, "test": 8},
        },
        interactions=pa.table(
            {
                "user_id": [f"u{n % 9}" for n in range(36)],
                "item_id": [f"i{n % 5}" for n in range(36)],
                "timestamp": pa.array(
                    [datetime(2026, 1, 1 + n // 4, n % 24, tzinfo=UTC) for n in range(36)],
                    pa.timestamp("us", "UTC"),
                ),
            }
        ),
        two_tower={
            "epochs": [{"epoch": n, "loss": 5 - n, "valid_ndcg_10": 0.01 * n} for n in (1, 2, 3)],
            "best_epoch": 2,
            "parameters": 12345,
            "wall_seconds": 61.2,
        },
        ranker={"epochs": [{"epoch": 1, "loss": 0.5, "valid_loss": None}]},
        ranker_metrics={
            "ndcg": 0.4321,
            "events": {
                EVIL: {
                    "auc": 0.8125,
                    "confusion_matrix": [[90, 10], [5, 15]],
                    "calibration": [
                        {"predicted": 0.1, "observed": 0.12, "count": 90},
                        {"predicted": 0.6, "observed": 0.5, "count": 10},
                        {"predicted": 0.9, "observed": None, "count": 0},
                    ],
                }
            },
            "value": {"rmse": 0.9312, "mae": 0.7312},
        },
        index={
            "kind": "tree",
            "dim": 64,
            "size": 12,
            "k": 5,
            "recall": 0.97,
            "recall_target": 0.95,
            "latency": {"median_us": 61.4, "p99_us": 133.0},
            "curve": [
                {"recall": 0.8, "median_us": 30.0, "p99_us": 50.0},
                {"recall": 0.97, "median_us": 61.0, "p99_us": 130.0},
            ],
        },
        slates=[
            SampleSlate("u1", [f"Old {n}" for n in range(11)], ["Heat", EVIL], ["Heat"], "41, librarian"),
            SampleSlate("u2", [], []),
        ],
        config={"evaluation": {"k": 3, "note": EVIL}},
        provenance={"revision": "abc123"},
    )


@pytest.fixture(scope="module")
def text(full):
    return render(full)


class _Page(HTMLParser):
    """Balanced tags, and every attribute that could fetch something."""

    VOID = frozenset({"meta", "link", "br", "img", "hr", "input"})

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links, self.texts = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in {"src", "href", "xlink:href", "action", "data", "srcset"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_is_well_formed_and_fetches_nothing(text):
    page = _Page(text)
    assert page.open == []
    assert all(link.startswith("#") for link in page.links)
    assert not {"script", "link", "iframe", "object", "img"} & set(page.tags)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_every_value_is_escaped(text):
    assert "<script" not in text
    assert "alert" in text
    assert text.count("&lt;script&gt;") >= 8


def test_the_verdict_comes_first_in_plain_words(text):
    assert "Refused" in text
    assert text.index("may not be released. 2 of 5 checks failed.") < text.index(
        "Quality beside the baselines"
    )
    assert text.index("Broken") < text.index("1 checks passed")
    words = {
        status: headline(ReportInputs("x", verdict=Verdict(status=status, checks=())))["word"]
        for status in ("passed", "unchanged")
    }
    assert words == {"passed": "Passed", "unchanged": "Unchanged"}


def test_the_numbers_are_there(text, evaluation):
    for found in evaluation.record.rankers.values():
        assert f"{found.metrics['ndcg@3'].value:.4f}" in text
        assert f"{found.coverage:.1%}" in text
    for words in (
        "12 items are too many",
        "0.8125",
        "0.9312",
        "0.7312",
        "0.4321",
        "97.00%",
        "61 µs",
        "12,345",
    ):
        assert words in text
    for words in ("Markov", "Cold users: fewer than 5 interactions before", "new items", "abc123", "k: 3"):
        assert (words in text) == (words != "Markov")


def test_slates_mark_what_came_true_and_shorten_long_histories(text):
    assert '<span class="hit">Heat</span>' in text
    assert "and 3 earlier" in text
    assert text.index("Old 10") < text.index("Old 3")
    assert "Old 2<" not in text
    assert "Nothing yet: a new user." in text
    assert "An empty slate." in text


def test_charts_are_xml_in_the_colours_of_the_page(text):
    svgs = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(svgs) == 15
    for svg in svgs:
        assert ElementTree.fromstring(svg).get("aria-label")  # noqa: S314 (our own output)
        assert "var(--" in svg
        assert not re.search(r"#0102\d\d", svg)


def test_nothing_given_is_said_to_be_missing_and_does_not_fail():
    text = render(ReportInputs("empty"))
    assert _Page(text).open == []
    assert text.count('class="missing"') >= 12
    assert "The gate has not judged this model." in text


@pytest.mark.parametrize(
    "gone",
    [
        {"verdict", "dataset", "interactions", "ranker", "index", "config"},
        {
            "evaluation",
            "split",
            "two_tower",
            "ranker_metrics",
            "slates",
            "provenance",
            "gate",
            "explanations",
        },
    ],
    ids=["every other", "the others"],
)
def test_parts_may_be_missing(full, gone):
    empty = {"slates": (), "provenance": {}}
    given = {name: empty.get(name) if name in gone else value for name, value in full.__dict__.items()}
    assert _Page(render(ReportInputs(**given))).open == []


def test_the_same_inputs_give_the_same_bytes(full, text, tmp_path):
    write_report(full, tmp_path / "reports" / "report.html")
    assert (tmp_path / "reports" / "report.html").read_text(encoding="utf-8") == text


def test_slices_are_grouped_and_compared_with_the_champion(full):
    found = slices(full)
    assert [name for name, _ in found["groups"]] == ["", "gender"]
    assert found["reference"] == "the champion"
    assert found["empty"] == []
    assert all(0 <= r.level.low <= r.level.dot <= 100 for _, rows in found["groups"] for r in rows)


def test_latencies_are_read_in_any_unit():
    facts = dict(index(ReportInputs("x", index={"latency": {"p50_ms": 0.5, "p99_s": 0.002}}))["facts"])
    assert facts == {"latency p50": "500 µs", "latency p99": "2,000 µs"}


def test_a_confusion_matrix_by_name_reads_like_one_by_position():
    by_name = {"confusion_matrix": {"tp": 15, "fp": 10, "fn": 5, "tn": 90}}
    by_place = {"confusion_matrix": [[90, 10], [5, 15]]}
    cells = [
        ranker(ReportInputs("x", ranker_metrics={"events": {"like": m}}))["confusions"]
        for m in (by_name, by_place)
    ]
    assert cells[0] == cells[1]
    assert [c["count"] for c in cells[0][0]["cells"]] == ["90", "10", "5", "15"]
    assert [c["share"] for c in cells[0][0]["cells"]] == ["90%", "10%", "25%", "75%"]


def test_values_that_are_not_finite_leave_gaps():
    epochs = [{"epoch": 1, "loss": float("nan")}, {"epoch": 2, "loss": 0.5}]
    parts = learning(ReportInputs("x", two_tower={"epochs": epochs}))
    assert len(parts[0]["charts"]) == 1
    assert parts[1]["known"] is False
