"""Ask the trained model the candidate lists of requests it was not fitted on."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from slate.data.features import EncodedArray
from slate.ranking.metrics import Lists, list_metrics, value_metrics
from slate.ranking.model import RankingModel
from slate.ranking.occasions import Occasions, Parts, Pools, positives_of
from slate.ranking.sampling import Sampler, odds_divided
from slate.ranking.scorer import CANDIDATES, PROBABILITIES, RANKS, RETRIEVAL_SCORES, SCORE, VALUE
from slate.ranking.served import INTERACTION, ServedRanker

Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]

_CHUNK: Final = 64
_MOST_LISTS: Final = 1_500


class Assessor:
    """Lists and values of a trained model, and the sample for checking its export."""

    def __init__(
        self,
        model: RankingModel,
        served: ServedRanker,
        occasions: Occasions,
        pools: Pools,
        encoded: Mapping[str, EncodedArray],
        sampler: Sampler,
        seed: int,
    ) -> None:
        self._model, self._served = model, served
        self._occasions, self._pools, self._encoded, self._sampler = occasions, pools, encoded, sampler
        self._seed = seed
        self._events = occasions.events.shape[1]
        owners = np.repeat(np.arange(len(occasions)), np.diff(occasions.offsets))
        self._size = model.items.rows
        keys = owners * self._size + occasions.items
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]

    def metrics(self, parts: Parts, events: tuple[str, ...], weights: Float32) -> dict[str, Any]:
        """The content of ``metrics.json``: measured on the report part, thresholds from the stop part."""
        report = self.lists(parts.report)
        measured = list_metrics(report, events, weights, self.lists(parts.stop))
        positives = positives_of(self._occasions, parts.report)
        in_pool = int(report.interacted.sum())
        sampled = positives_of(self._occasions, self._sampled(parts.report))
        measured["positives_retrieved"] = in_pool / len(sampled) if len(sampled) else None
        measured["value"] = value_metrics(
            self._occasions.values[positives],
            self.values(parts.report),
            self._model.scale.value_mean,
        )
        return measured

    def lists(self, queries: Int64) -> Lists:
        """The candidate lists of at most 1,500 of these requests, drawn by seed."""
        chosen = self._sampled(queries)
        rows = self._pools.rows[chosen]
        present = rows >= 0
        # Every chunk has one size: another would be traced once more.
        filled = np.concatenate([chosen, np.repeat(chosen[-1:], -len(chosen) % _CHUNK)])
        shape = (len(filled), rows.shape[1])
        probabilities = np.zeros((*shape, self._events + 1), np.float32)
        scores = np.zeros(shape, np.float32)
        for start in range(0, len(filled), _CHUNK):
            part = slice(start, start + _CHUNK)
            answer = self._answer(filled[part])
            scores[part], probabilities[part] = answer[SCORE], answer[PROBABILITIES]
        scores, probabilities = scores[: len(chosen)], probabilities[: len(chosen)]
        interacted, labels = self._labels(chosen, rows)
        # Only the probability of an interaction was learnt from a sample; the events' shares were not.
        whole = probabilities[..., -1]
        sampled = odds_divided(whole, self._sampler.pool_rates(chosen)[:, np.newaxis])
        ratio = sampled / np.maximum(whole, 1e-12)
        uncorrected = probabilities * ratio[..., np.newaxis]
        return Lists(present, labels, interacted, probabilities, uncorrected.astype(np.float32), scores)

    def interacted(self, queries: Int64) -> npt.NDArray[np.bool_]:
        """Which candidates of each request were interacted with, bool [queries, candidates]."""
        return self._labels(queries, self._pools.rows[queries])[0]

    def values(self, queries: Int64) -> Float32:
        """The value predicted for each positive of these requests."""
        positives = positives_of(self._occasions, queries)
        sizes = np.diff(self._occasions.offsets)[queries]
        owners = np.repeat(queries, sizes)
        found = [np.empty(0, np.float32)]
        scale = self._model.scale
        for start in range(0, len(positives), _CHUNK * 16):
            part = slice(start, start + _CHUNK * 16)
            rows = self._occasions.items[positives[part]][:, np.newaxis]
            scored = self._sampler.score(owners[part], rows)
            inputs = self._inputs(owners[part], rows, scored.scores) | {RANKS: tf.constant(scored.ranks)}
            value = scale.value_mean + scale.value_std * self._model(inputs).value.numpy()[:, 0]
            found.append(np.clip(value, scale.value_low, scale.value_high))
        return np.concatenate(found)

    def parity_sample(self, rows: int) -> dict[str, npt.NDArray[Any]]:
        """Inputs and in-memory answers of about ``rows`` requests with their candidates.

        Lists are cut to different lengths, so that padding is in the sample too.
        """
        rng = np.random.default_rng(self._seed)
        count = len(self._occasions)
        chosen = np.sort(rng.choice(count, min(rows, count), replace=False))
        width = min(64, self._pools.rows.shape[1])
        candidates = self._pools.rows[chosen, :width]
        kept = np.arange(width) < rng.integers(1, width + 1, (len(chosen), 1))
        candidates = np.where(kept, candidates, -1)
        scores = np.where(candidates >= 0, self._pools.scores[chosen, :width], 0.0).astype(np.float32)
        inputs = {name: value.numpy() for name, value in self._inputs(chosen, candidates, scores).items()}
        return inputs | self._served.in_memory(inputs)

    def _sampled(self, queries: Int64) -> Int64:
        if len(queries) <= _MOST_LISTS:
            return queries
        rng = np.random.default_rng(self._seed)
        return np.sort(rng.choice(queries, _MOST_LISTS, replace=False))

    def _inputs(self, queries: Int64, rows: npt.NDArray[np.int32], scores: Float32) -> dict[str, tf.Tensor]:
        inputs = {name: tf.constant(array[queries]) for name, array in self._encoded.items()}
        inputs[CANDIDATES] = tf.constant((rows + 1).astype(np.int32))
        inputs[RETRIEVAL_SCORES] = tf.constant(scores)
        return inputs

    def _answer(self, queries: Int64) -> dict[str, Float32]:
        rows = self._pools.rows[queries]
        scores = np.where(rows >= 0, self._pools.scores[queries], 0.0).astype(np.float32)
        answer = self._served.score_and_interaction(self._inputs(queries, rows, scores))
        probabilities = np.concatenate(
            [answer[PROBABILITIES].numpy(), answer[INTERACTION].numpy()[..., np.newaxis]], axis=-1
        )
        return {SCORE: answer[SCORE].numpy(), VALUE: answer[VALUE].numpy(), PROBABILITIES: probabilities}

    def _labels(
        self, queries: Int64, rows: npt.NDArray[np.int32]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which candidates were interacted with, [n, c], and the events on them, [n, c, events]."""
        keys = queries[:, np.newaxis] * self._size + rows
        labels = np.zeros((*rows.shape, self._events), np.bool_)
        if not len(self._keys):
            return np.zeros(rows.shape, np.bool_), labels
        places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        interacted = (self._keys[places] == keys) & (rows >= 0)
        labels[interacted] = self._occasions.events[self._order[places[interacted]]]
        return interacted, labels
