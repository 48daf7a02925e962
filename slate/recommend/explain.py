"""How every candidate passed each stage."""

from slate.recommend.arrays import Floats
from slate.recommend.opened import Opened
from slate.recommend.request import Explanation
from slate.recommend.stages.records import Ask, Scored


def explained(release: Opened, ask: Ask, scored: Scored, adjusted: Floats) -> Explanation:
    """The account of one ask, by item id; ``adjusted`` are the scores that the order went by."""
    ids = release.ids
    candidates = scored.kept.candidates
    names = ids.to_ids(candidates.rows)
    named_by: dict[str, list[str]] = {name: [] for name in names}
    for source, places in zip(candidates.sources, candidates.places, strict=True):
        for place in places:
            named_by[names[place]].append(source)
    gone = {int(place) for places in scored.kept.removed.values() for place in places}
    ranked = ids.to_ids(scored.rows)
    passed = gone | set(scored.kept.places.tolist())
    return Explanation(
        sources=named_by,
        retrieved=dict(zip(names, map(float, candidates.scores), strict=True)),
        removed={name: [names[at] for at in places] for name, places in scored.kept.removed.items()},
        surplus=[name for place, name in enumerate(names) if place not in passed],
        scored={
            item: {
                "score": float(score),
                **dict(zip(release.features.events, map(float, chances), strict=True)),
            }
            for item, score, chances in zip(ranked, scored.scores, scored.probabilities, strict=True)
        },
        adjusted=dict(zip(ranked, map(float, adjusted), strict=True)),
        ignored=ask.ignored,
    )
