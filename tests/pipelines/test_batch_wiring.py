"""The batch pipeline over stand-in steps: what runs, and what each step is given."""

from pathlib import Path

from pipelines.batch import batch
from pipelines.local import run_pipeline, step_names
from tests.pipelines.standin import Standin


def test_every_partition_runs_and_the_last_step_hears_of_all(standin: Standin, tmp_path: Path) -> None:
    standin.behave(precompute={"returns": []}, finish_precompute={"returns": {"slates": 4}})
    assert step_names(batch) == ("precompute", "finish_precompute", "record_outcome")
    result = run_pipeline(
        batch,
        {
            "batch": {"section": "batch"},
            "feedback": {"section": "feedback"},
            "tracking": {"enabled": False},
            "store": str(tmp_path / "store"),
            "partitions": ["0/3", "1/3", "2/3"],
            "shared": True,
            "run_id": "one",
        },
        run_id="one",
        workdir=tmp_path / "work",
        caching=False,
    )
    assert result.status == "succeeded", result.failure
    calls = standin.calls()
    assert [call["step"] for call in calls] == ["precompute"] * 3 + ["finish_precompute"]
    asked = [next(p for p in ("'0/3'", "'1/3'", "'2/3'") if p in str(c["arguments"])) for c in calls[:3]]
    assert sorted(asked) == ["'0/3'", "'1/3'", "'2/3'"], (
        "the partitions run side by side: in any order, each once"
    )
    assert "'section': 'feedback'" in str(calls[0]["arguments"])
    assert "True" in str(calls[0]["arguments"])
    assert "['[]', '[]', '[]']" in str(calls[3]["arguments"])
    assert result.step("finish_precompute").metrics == {"slates": 4}
