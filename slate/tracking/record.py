"""One run in MLflow: begun, described by what its steps wrote, and ended."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from slate import columns
from slate.config import TrackingConfig
from slate.evaluation.record import Evaluation
from slate.tracking.settings import address, artefact_location

RUN_ID: Final = "slate.run_id"
DATASET: Final = "slate.dataset"
DATA_FINGERPRINT: Final = "slate.data_fingerprint"
CODE_FINGERPRINT: Final = "slate.code_fingerprint"
VERDICT: Final = "slate.verdict"
RELEASE: Final = "slate.release_id"
STORE: Final = "slate.store"
ERROR: Final = "slate.error"
FAILED_CHECKS: Final = "slate.failed_checks"

#: MLflow 3 opens an experiment as one of language models unless told otherwise.
_TRAINING_VIEW: Final = {"mlflow.experimentKind": "custom_model_development"}
_BATCH: Final = 100
_VALUE_LENGTH: Final = 500
_TAG_LENGTH: Final = 4000
_DIGEST_LENGTH: Final = 36


@dataclass(frozen=True)
class Beginning:
    """What is known of a run before its first step. ``sections`` maps section to settings."""

    run_id: str
    sections: Mapping[str, Mapping[str, Any]]
    data_fingerprint: str
    code_fingerprint: str
    store: str


@dataclass(frozen=True)
class Evidence:
    """The artefacts of a run: folders as their steps wrote them, and HTML pages by name."""

    dataset: Path
    two_tower: Path
    ranker: Path
    evaluation: Path
    verdict: Path
    pages: Mapping[str, Path]


def begin(client: Any, config: TrackingConfig, start: Beginning) -> str:
    """Make the run, or find it where an earlier process began it; MLflow's id of it.

    Twice is once: parameters are the same, and the state is RUNNING again.
    """
    found = find(client, config, start.run_id)
    if found is None:
        tracked = create(client, config, start.run_id)
    else:
        tracked = found.info.run_id
        client.update_run(tracked, status="RUNNING")
    dataset = start.sections.get("dataset", {})
    _tag(
        client,
        tracked,
        {
            DATASET: str(dataset.get("name", "")),
            DATA_FINGERPRINT: start.data_fingerprint,
            CODE_FINGERPRINT: start.code_fingerprint,
            STORE: start.store,
        },
    )
    _params(client, tracked, start.sections)
    client.log_text(
        tracked,
        yaml.safe_dump(dict(start.sections), sort_keys=False, allow_unicode=True),
        "config.yaml",
    )
    return tracked


def describe(client: Any, config: TrackingConfig, run_id: str, evidence: Evidence) -> str:
    """Log what the steps measured: curves, metrics beside baselines, data set, verdict, reports.

    Times are those of the run's start plus the epochs' own seconds, so that a second time adds nothing.

    Returns:
        MLflow's id of the run.
    """
    run = find(client, config, run_id)
    tracked: str = create(client, config, run_id) if run is None else run.info.run_id
    started = client.get_run(tracked).info.start_time
    _metrics(client, tracked, [*_curves(evidence, started), *_measured(evidence, started)])
    _dataset(client, tracked, evidence.dataset)
    decided = json.loads(evidence.verdict.read_text(encoding="utf-8"))
    failed = [check["name"] for check in decided["checks"] if not check["passed"]]
    _tag(client, tracked, {VERDICT: decided["status"], FAILED_CHECKS: ", ".join(failed)})
    client.log_text(tracked, json.dumps(decided, indent=1, ensure_ascii=False), columns.VERDICT_FILE)
    for name, page in evidence.pages.items():
        if page.is_file():
            client.log_text(tracked, page.read_text(encoding="utf-8"), f"reports/{name}.html")
    explained = evidence.ranker / columns.EXPLANATIONS_FILE
    if explained.is_file():
        client.log_text(tracked, explained.read_text(encoding="utf-8"), columns.EXPLANATIONS_FILE)
    return tracked


def end(client: Any, config: TrackingConfig, run_id: str, status: str, error: str = "") -> None:
    """Close the run as FINISHED, FAILED or KILLED; one that was never begun is made for it."""
    run = find(client, config, run_id)
    tracked = create(client, config, run_id) if run is None else run.info.run_id
    if error:
        _tag(client, tracked, {ERROR: error})
    client.set_terminated(tracked, status=status)


def find(client: Any, config: TrackingConfig, run_id: str) -> Any | None:
    """The MLflow run of one of our runs, None where there is none."""
    experiment = client.get_experiment_by_name(config.experiment)
    if experiment is None:
        return None
    runs = client.search_runs(
        [experiment.experiment_id],
        f"tags.`{RUN_ID}` = '{run_id}'",
        max_results=1,
        order_by=["start_time ASC"],
    )
    return runs[0] if runs else None


def create(client: Any, config: TrackingConfig, run_id: str) -> str:
    """Make the MLflow run of one of our runs, and the experiment where there is none; MLflow's id of it."""
    number = experiment_of(client, config)
    made: str = client.create_run(
        number, run_name=run_id, tags={RUN_ID: run_id, "mlflow.source.name": "slate"}
    ).info.run_id
    return made


def experiment_of(client: Any, config: TrackingConfig) -> str:
    """MLflow's id of the experiment, which is made where there is none."""
    experiment = client.get_experiment_by_name(config.experiment)
    if experiment is not None:
        known: str = experiment.experiment_id
        return known
    made: str = client.create_experiment(
        config.experiment, artefact_location(address(config) or ""), tags=_TRAINING_VIEW
    )
    return made


def _tag(client: Any, tracked: str, tags: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    kept = [RunTag(name, value[:_TAG_LENGTH]) for name, value in tags.items()]
    client.log_batch(tracked, tags=kept)


def _params(client: Any, tracked: str, sections: Mapping[str, Mapping[str, Any]]) -> None:
    from mlflow.entities import Param

    params = [Param(name, value) for name, value in flat(sections)]
    for at in range(0, len(params), _BATCH):
        client.log_batch(tracked, params=params[at : at + _BATCH])


def flat(sections: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """``section.key`` and its value as text, JSON where it is not plain; long ones are cut.

    >>> dict(flat({"ranking": {"epochs": 4, "hidden": [16, 8]}}))
    {'ranking.epochs': '4', 'ranking.hidden': '[16, 8]'}
    """
    for section, settings in sections.items():
        for key, value in settings.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
            yield f"{section}.{key}", text[:_VALUE_LENGTH]


def _metrics(client: Any, tracked: str, points: list[tuple[str, float, int, int]]) -> None:
    from mlflow.entities import Metric

    metrics = [Metric(name, value, at, step) for name, value, at, step in points]
    for first in range(0, len(metrics), _BATCH):
        client.log_batch(tracked, metrics=metrics[first : first + _BATCH])


def _curves(evidence: Evidence, started: int) -> Iterator[tuple[str, float, int, int]]:
    """Name, value, milliseconds since 1970 and epoch of both models' training."""
    for model, folder in (("two_tower", evidence.two_tower), ("ranker", evidence.ranker)):
        record = json.loads((folder / columns.TRAINING_FILE).read_text(encoding="utf-8"))
        passed = 0.0
        for epoch in record["epochs"]:
            passed += epoch["seconds"]
            for name, value in epoch.items():
                if name not in ("epoch", "seconds"):
                    yield f"{model}/{name}", float(value), started + round(1000 * passed), epoch["epoch"]
        yield f"{model}/best_epoch", float(record["best_epoch"]), started, 0
        yield f"{model}/parameters", float(record["parameters"]), started, 0
        yield f"{model}/seconds", float(record["seconds"]), started, 0


def _measured(evidence: Evidence, started: int) -> Iterator[tuple[str, float, int, int]]:
    """The challenger's metrics as ``test/<metric>``, the others' as ``<ranker>/test/<metric>``."""
    evaluation = Evaluation.open(evidence.evaluation)
    for ranker, values in evaluation.summary().items():
        prefix = "test" if ranker == evaluation.record.challenger else f"{ranker}/test"
        for name, value in values.items():
            yield f"{prefix}/{metric_name(name)}", value, started, 0


def metric_name(name: str) -> str:
    """A metric as MLflow may name it: ``ndcg@10`` is ``ndcg_at_10``."""
    return name.replace("@", "_at_")


def _dataset(client: Any, tracked: str, folder: Path) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    known = json.loads((folder / columns.DATASET_FILE).read_text(encoding="utf-8"))
    counts = {name: known[name] for name in ("rows", "users", "items", "events") if name in known}
    dataset = Dataset(
        name=known["name"],
        digest=known["fingerprint"][:_DIGEST_LENGTH],
        source_type="slate",
        source=json.dumps({"fingerprint": known["fingerprint"]}),
        profile=json.dumps(counts),
    )
    client.log_inputs(
        tracked, datasets=[DatasetInput(dataset, tags=[InputTag("mlflow.data.context", "training")])]
    )
