"""The description of a data set as one HTML page."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from slate.data.findings import Finding
from slate.data.profile.prepared import Profile
from slate.pages import charts
from slate.pages.render import render as page

_VALUES: Final = 10


def render(profile: Profile, findings: Sequence[Finding]) -> str:
    """The page as HTML text."""
    days = [day.strftime("%Y-%m-%d") for day in profile.volume["day"].to_pylist()]
    counts = [float(n) for n in profile.volume["day_count"].to_pylist()]
    weeks = profile.engagement.to_pylist()
    engagement = {"engagement": [row["engagement"] for row in weeks]}
    if any(row["negative"] for row in weeks):
        # Without any, what is positive is all of it.
        for part in ("positive", "negative"):
            engagement[part] = [row[part] / row["active_users"] for row in weeks]
    return page(
        "slate.data",
        "profile.html.j2",
        profile=profile,
        findings=findings,
        facts=facts(profile),
        volume=charts.area("Interactions a day", days, counts, {}) if len(days) > 1 else None,
        activity=charts.long_tail(
            "Interactions by user", profile.users.counts, "users, most active first", "interactions"
        ),
        popularity=charts.long_tail(
            "Interactions by item", profile.items.counts, "items, most popular first", "interactions"
        ),
        engagement=charts.lines(
            "Engagement per active user",
            [float(n) for n in range(len(weeks))],
            engagement,
            f"weeks since {weeks[0]['period']}" if weeks else "weeks",
            "weight per active user",
        )
        if len(weeks) > 1
        else None,
        features=features(profile),
    )


def facts(profile: Profile) -> list[tuple[str, str]]:
    """The headline counts, as text."""
    described = profile.statistics["interactions"]
    middle = profile.users.quantiles[2] if profile.users.quantiles else 0
    return [
        ("interactions", f"{described['rows']:,}"),
        ("users", f"{described['users']:,}"),
        ("items", f"{described['items']:,}"),
        ("items in the catalogue", f"{profile.statistics['rows']['items']:,}"),
        ("density", f"{profile.density:.2%}"),
        ("from", str(described["first"])[:10]),
        ("to", str(described["last"])[:10]),
        ("median interactions a user", f"{middle:,.0f}"),
        ("median life of a user", f"{profile.lifetimes[2]:,.1f} h" if profile.lifetimes else "–"),
    ]


def features(profile: Profile) -> list[dict[str, Any]]:
    """Missing share and distribution of every feature, ready to be drawn as bars."""
    shown = []
    for side in ("items", "users", "context"):
        for name, entry in profile.statistics[side].items():
            bars: list[tuple[str, float]] = []
            if entry.get("quantiles"):
                percentiles = np.asarray(entry["quantiles"])
                edges = np.linspace(percentiles[0], percentiles[-1], _VALUES + 1)
                reached = np.searchsorted(percentiles, edges[1:], side="right") / len(percentiles)
                shares = np.diff(np.r_[0.0, reached])
                bars = [
                    (f"{a:.4g} to {b:.4g}", float(s))
                    for a, b, s in zip(edges, edges[1:], shares, strict=False)
                ]
            elif entry.get("counts"):
                total = max(entry["total"], 1)
                bars = [(value, n / total) for value, n in list(entry["counts"].items())[:_VALUES]]
            most = max((share for _, share in bars), default=1.0) or 1.0
            shown.append(
                {
                    "name": f"{side}.{name}",
                    "missing": entry["missing"],
                    "categories": entry.get("categories"),
                    "bars": [(label, share, 100 * share / most) for label, share in bars],
                }
            )
    return shown
