"""The live release, as a challenger meets it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from slate.evaluation.record import Evaluation
from slate.recommend.recommender import Recommender
from slate.release.channels import CHANNELS, read_channel
from slate.release.manifest import Manifest
from slate.release.resolve import open_verified
from slate.steps.assemble import REPORTS, content_hash
from slate.storage import open_store

#: What the gate must know besides the evaluation, beside it and in a release's reports.
FACTS: Final = "facts.json"
#: The report in a release.
PAGE: Final = "evaluation.html"

#: How a release is measured depends on these sections alone.
_MEASURED_BY: Final = ("dataset", "evaluation", "gate")


@dataclass(frozen=True)
class Champion:
    """A verified release; its models load only where they are asked for."""

    path: Path
    manifest: Manifest

    @property
    def release_id(self) -> str:
        return self.manifest.release_id

    @cached_property
    def content(self) -> str:
        """The hash of what it answers with."""
        return content_hash(self.path, self.manifest.config)

    @property
    def facts(self) -> dict[str, str]:
        """What the gate must know of it."""
        dataset = self.manifest.dataset
        return {"content": self.content, "train_end": dataset.train_end, "valid_end": dataset.valid_end}

    def recommender(self) -> Recommender:
        """The release, opened."""
        return Recommender(self.path, self.manifest.config, self.release_id)

    def measured_alike(self, content: str, config: Mapping[str, Any]) -> bool:
        """Whether it has this content and ships an evaluation made under these sections."""
        same = all(self.manifest.config.get(name) == config.get(name) for name in _MEASURED_BY)
        return same and self.content == content and (self.path / REPORTS / FACTS).is_file()

    def evaluation(self) -> Evaluation:
        """The evaluation that it ships."""
        return Evaluation.open(self.path / REPORTS)

    def draft(self) -> dict[str, Any]:
        """The fields of its manifest that are known before a verdict."""
        fields = ("parent", "dataset", "config", "events", "metrics", "baselines", "index", "golden")
        return self.manifest.model_dump(mode="json", include=set(fields))


def open_champion(store: str, reference: str) -> Champion | None:
    """The champion of a store, every file verified.

    Args:
        reference: a release id, a channel (a schedule names one, since a fixed release would go stale),
            or the empty string for none.

    Returns:
        None where the reference is empty or names an empty channel.
    """
    target = open_store(store)
    if not reference or (reference in CHANNELS and read_channel(target, reference) is None):
        return None
    opened = open_verified(reference, target)
    return Champion(opened.path, opened.manifest)
