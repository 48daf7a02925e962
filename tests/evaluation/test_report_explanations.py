import re

from slate.evaluation.report import render
from slate.evaluation.report_explanations import explanations
from slate.evaluation.report_inputs import ReportInputs


def _shown(found):
    return explanations(ReportInputs("x", explanations=found))


def test_inputs_come_by_what_is_lost_without_them_alone_and_together(make_explanations):
    alone, alone_log_loss, together, _ = _shown(make_explanations())["importance"]
    assert alone.title == "Loss of NDCG@10, each input alone"
    assert [(row.name, row.detail, row.bar.tone, row.bar.text) for row in alone.rows] == [
        ("price", "item", "accent", "+0.2500"),
        ("noise", "item", "plain", "+0.0010"),
    ]
    assert [row.name for row in alone_log_loss.rows] == ["price", "noise"]
    assert [row.bar.text for row in alone_log_loss.rows] == ["+12.3000", "+0.0200"]
    assert [row.name for row in together.rows] == ["everything"]
    # The interval of noise holds the dashed zero, that of price does not.
    price, noise = (row.bar for row in alone.rows)
    assert noise.low < noise.zero < noise.low + noise.width
    assert price.zero < price.low


def test_without_positives_only_log_loss_is_left(make_explanations):
    found = make_explanations()
    bare = found.model_copy(
        update={
            "ndcg": None,
            "importance": tuple(i.model_copy(update={"ndcg": None}) for i in found.importance),
        }
    )
    shown = _shown(bare)
    assert [plot.title.split(",")[0] for plot in shown["importance"]] == [
        "Rise of log loss in thousandths"
    ] * 2
    assert "NDCG@10 as it is" not in dict(shown["facts"])


def test_curves_come_widest_first_and_categories_as_bars(make_explanations):
    shown = _shown(make_explanations(curves=5))
    assert [curve.name for curve in shown["curves"][:3]] == ["popularity", "genre", "released"]
    assert len(shown["curves"]) == 9
    assert [curve.name for curve in shown["more"]] == ["number 3", "number 4"]
    genre = shown["curves"][1]
    assert genre.svg is None
    assert [row.name for row in genre.forest.rows] == ["drama", "$\\bad", "戦争"]
    assert [row.bar.text for row in genre.forest.rows] == ["0.1000", "0.2500", "0.4000"]


def test_axes_are_in_units_that_people_read(make_explanations):
    charts = {curve.name: str(curve.svg) for curve in _shown(make_explanations())["curves"] if curve.svg}
    texts = {name: re.findall(r">([^<>]+)</text>", svg) for name, svg in charts.items()}
    assert {"1 s", "1 min", "1 h", "1 d"} <= set(texts["since"])
    assert {"0", "1", "10", "100", "1,000"} <= set(texts["popularity"])
    assert {"1970", "1990"} & set(texts["released"])
    assert "1,000" not in texts["length"]


def test_nothing_asked_or_nothing_found_is_no_failure(make_explanations):
    assert explanations(ReportInputs("x")) is None
    assert "was not asked what it looks at" in render(ReportInputs("x"))
    empty = make_explanations().model_copy(update={"importance": (), "curves": ()})
    text = render(ReportInputs("x", explanations=empty))
    assert "What each value does" not in text
    assert "seconds to find out" in text
