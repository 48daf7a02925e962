"""How every candidate passed each stage."""


from slate.recommend.opened import Opened
from slate.recommend.request import Explanation
from slate.recommend.stages.records import Ask, Scored


def explained(release: Opened, ask: Ask, scored: Scored) -> Explanation:
    """The account of one ask, by item id."""
    ids = release.catalogue.ids
    candidates = scored.kept.candidates
    names = ids.to_ids(candidates.rows)
    return Explanation(
        retrieved=dict(zip(names, map(float, candidates.scores), strict=True)),
        removed={name: [names[at] for at in places] for name, places in scored.kept.removed.items()},
        scored={
            ids.ids[row]: {
                "score": float(score),
                **dict(zip(release.features.events, map(float, chances), strict=True)),
            }
            for row, score, chances in zip(scored.rows, scored.scores, scored.probabilities, strict=True)
        },
        ignored=ask.ignored,
    )
