"""What a release shows when it answers for its holdout: what live traffic is compared with.

Made where a release is evaluated and shipped in its reports; releases of before lack it, and then drift of
what was shown cannot be judged.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from slate.clock import isoformat
from slate.errors import DataError
from slate.feedback import tables
from slate.monitoring.shares import Distribution
from slate.monitoring.traffic import SHOWN_ITEMS, Known, observed
from slate.recommend.request import Slate

REFERENCE_FILE: Final = "slates.json"
_SCHEMA: Final = 1
_CATEGORIES: Final = 20
_ITEMS: Final = 300


@dataclass(frozen=True)
class Reference:
    """Distributions by figure and subject, of ``slates`` slates. ``context`` names features of requests."""

    slates: int
    context: tuple[str, ...]
    distributions: Mapping[tuple[str, str], Distribution]

    @classmethod
    def of(cls, exposures: pa.Table, known: Known, context: Sequence[str]) -> "Reference":
        """Describe slates, given in the columns of the log."""
        found = {
            (figure, subject): Distribution.of(values, _ITEMS if figure == SHOWN_ITEMS else _CATEGORIES)
            for figure, subject, values in observed(exposures, known, context)
        }
        return cls(exposures.num_rows, tuple(context), found)

    def to_json(self) -> str:
        """Strict JSON."""
        found = [
            {"figure": figure, "subject": subject, **distribution.to_dict()}
            for (figure, subject), distribution in self.distributions.items()
        ]
        content = {
            "schema": _SCHEMA,
            "slates": self.slates,
            "context": list(self.context),
            "distributions": found,
        }
        return json.dumps(content, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Reference":
        """Read what :meth:`to_json` wrote.

        Raises:
            DataError: it is something else.
        """
        try:
            found: dict[str, Any] = json.loads(text)
            if found["schema"] != _SCHEMA:
                raise DataError(f"{REFERENCE_FILE}: has schema {found['schema']}, not {_SCHEMA}")
            return cls(
                int(found["slates"]),
                tuple(found["context"]),
                {(d["figure"], d["subject"]): Distribution.from_dict(d) for d in found["distributions"]},
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{REFERENCE_FILE}: is no description of slates ({error!r})") from error


def as_exposures(
    slates: Sequence[Slate], instants: Sequence[int], contexts: Sequence[Mapping[str, Any]]
) -> pa.Table:
    """Slates as the log would hold them, each a slate to a user.

    Args:
        instants: microseconds since 1970.
    """
    rows = [
        {
            "exposure_id": str(place),
            "timestamp": instant,
            "user_id": slate.user_id or "",
            "assigned_variant": "",
            "served_variant": "",
            "release_id": slate.release_id,
            "rung": slate.rung,
            "context": json.dumps(_plain(context), default=_text),
            "items": [
                {
                    "item_id": item.item_id,
                    "score": item.score if np.isfinite(item.score) else None,
                    "position": item.position,
                    "source": item.source,
                    "propensity": item.propensity,
                }
                for item in slate.items
            ],
        }
        for place, (slate, instant, context) in enumerate(zip(slates, instants, contexts, strict=True))
    ]
    return pa.Table.from_pylist(rows, schema=tables.EXPOSURES)


def _plain(context: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(v, float) and not np.isfinite(v) else v for name, v in context.items()}


def _text(value: object) -> str:
    return isoformat(value) if hasattr(value, "astimezone") else str(value)  # type: ignore[arg-type]
