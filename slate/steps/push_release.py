"""Pipeline step: seal the candidate with its verdict, check that it answers, publish it."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from slate import columns
from slate.errors import GateError, ReleaseError
from slate.recommend.golden import golden_problems
from slate.recommend.recommender import Recommender
from slate.release.channels import take_if_empty
from slate.release.manifest import ManifestFields
from slate.release.publish import publish
from slate.release.seal import seal
from slate.release.verdict import Verdict
from slate.release.verify import installed_versions
from slate.steps.assemble import CONTENT, DRAFT, REPORTS
from slate.storage import open_store

_PUSHED_BY = "pipeline"


def push_release(store: str, candidate: Path, verdict: Path, code_revision: str) -> str:
    """Publish a candidate that passed; an empty ``stable`` channel takes it.

    The candidate itself is left as it is: a copy is sealed, so that a step that is tried again starts
    from the same content.

    Returns:
        the release id.

    Raises:
        GateError: the verdict is not ``passed``.
        ReleaseError: the sealed copy does not answer its golden requests as the candidate did.
    """
    decided = Verdict.from_json(verdict.read_text(encoding="utf-8"))
    if decided.status != "passed":
        raise GateError(f"verdict {verdict}: is {decided.status!r}; only a release that passed can be pushed")
    draft: dict[str, Any] = json.loads((candidate / DRAFT).read_text(encoding="utf-8"))
    versions = installed_versions()
    fields = ManifestFields.model_validate(
        {
            **draft,
            "code_revision": code_revision,
            "verdict": json.loads(decided.to_json()),
            "requires": {
                "slate": versions["slate"],
                "litert": versions["litert"],
                "scann": None if draft["index"]["kind"] == "exact" else versions["scann"],
            },
        }
    )
    target = open_store(store)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "release"
        shutil.copytree(candidate / CONTENT, folder)
        reports = folder / REPORTS
        reports.mkdir(exist_ok=True)
        shutil.copy2(verdict, reports / columns.VERDICT_FILE)
        manifest = seal(folder, fields)
        problems = golden_problems(
            Recommender(folder, manifest.config, manifest.release_id),
            [case.model_dump() for case in manifest.golden],
        )
        if problems:
            raise ReleaseError(
                f"release {manifest.release_id}: answers otherwise than when it was evaluated: "
                f"{'; '.join(problems[:3])}; nothing was pushed, run the pipeline again"
            )
        release_id = publish(target, folder)
    take_if_empty(target, "stable", release_id, reason="first release that passed", by=_PUSHED_BY)
    return release_id
