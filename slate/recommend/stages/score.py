"""The third stage: the ranker's scores, for candidates or for any items."""

from collections.abc import Sequence

import numpy as np

from slate.recommend.engine import Scores
from slate.recommend.opened import Opened
from slate.recommend.ordering.relevance import by_score
from slate.recommend.stages.records import Ask, Kept, Scored
from slate.recommend.stages.retrieve import Retrieval


class Scoring:
    """Asks the ranker of one release, for a whole batch at once."""

    def __init__(self, release: Opened, retrieval: Retrieval) -> None:
        self._release = release
        self._retrieval = retrieval

    def scored(self, asks: Sequence[Ask], kept: Sequence[Kept]) -> list[Scored]:
        """Candidates with their scores, best first; what has no finite score is dropped and counted."""
        if not asks:
            return []
        rows = [each.rows for each in kept]
        answer = self._release.ranker.score([ask.query for ask in asks], rows, [each.scores for each in kept])
        scored = []
        for i, each in enumerate(kept):
            count = len(each.places)
            scores = answer.score[i, :count]
            order = by_score(scores, count)
            scored.append(
                Scored(
                    kept=each,
                    places=each.places[order],
                    rows=rows[i][order],
                    scores=scores[order],
                    probabilities=answer.probabilities[i, order],
                    dropped=count - len(order),
                )
            )
        return scored

    def items(self, asks: Sequence[Ask], item_ids: Sequence[Sequence[str]]) -> list[Scores]:
        """Scores of given items, None where an item is unknown or its score is not finite.

        The ranker looks at where retrieval puts an item among the others of its list, so the score of an item
        depends a little on what else is asked with it.
        """
        if not asks:
            return []
        ids = self._release.ids
        rows = [ids.known_rows(items) for items in item_ids]
        embeddings = self._release.encoder.embed([ask.query for ask in asks])
        similarities = [
            self._retrieval.similarities(embedding, own)
            for embedding, own in zip(embeddings, rows, strict=True)
        ]
        answer = self._release.ranker.score([ask.query for ask in asks], rows, similarities)
        scores = []
        for i, items in enumerate(item_ids):
            known = [place for place, item in enumerate(items) if item in ids]
            values: list[float | None] = [None] * len(items)
            events: dict[str, list[float | None]] = {
                name: [None] * len(items) for name in self._release.features.events
            }
            for found, place in enumerate(known):
                if not np.isfinite(answer.score[i, found]):
                    continue
                values[place] = float(answer.score[i, found])
                for name, chance in zip(events, answer.probabilities[i, found].tolist(), strict=True):
                    events[name][place] = chance
            scores.append(Scores(values, events, self._release.release_id))
        return scores
