"""From a declared space to Optuna's distributions and back to configuration sections."""

import itertools
import json
import math
import random
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Final

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from slate.config import Parameter, RankingConfig, RetrievalConfig, Section, SlateConfig, parse_section
from slate.errors import ConfigError

Values = Mapping[str, Any]

_MODELS: Final[Mapping[str, type[Section]]] = {"retrieval": RetrievalConfig, "ranking": RankingConfig}
_MOST_COMBINATIONS: Final = 2_000


def distribution(parameter: Parameter) -> BaseDistribution:
    """Optuna's form of one parameter; choices go by their labels."""
    if parameter.choices is not None:
        return CategoricalDistribution([label(choice) for choice in parameter.choices])
    low, high = parameter.low, parameter.high
    if low is None or high is None:
        raise ConfigError("tuning.space: a range needs low and high")
    with warnings.catch_warnings():
        # The last step need not end at high, as it does in most ranges that people write.
        warnings.simplefilter("ignore", UserWarning)
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, parameter.log, int(parameter.step or 1))
        return FloatDistribution(low, high, parameter.log, parameter.step)


def label(value: Any) -> bool | int | float | str:
    """A value as Optuna may store it: lists as JSON text.

    >>> label((128, 64)), label(0.1)
    ('[128, 64]', 0.1)
    """
    return json.dumps(list(value)) if isinstance(value, list | tuple) else value


def labelled(space: Mapping[str, Parameter], values: Values) -> dict[str, Any]:
    """Values of the space's keys by their labels."""
    return {key: label(values[key]) for key in space}


def unlabelled(space: Mapping[str, Parameter], stored: Values) -> dict[str, Any]:
    """What :func:`labelled` was given, lists as JSON holds them."""
    values = {}
    for key, parameter in space.items():
        if key in stored:
            values[key] = _value(parameter, stored[key])
    return values


def given_values(config: SlateConfig) -> dict[str, Any]:
    """What the configuration itself says of the searched keys."""
    values = {}
    for key in config.tuning.space:
        section, name = key.split(".")
        found = getattr(getattr(config, section), name)
        values[key] = list(found) if isinstance(found, tuple) else found
    return values


def holds(space: Mapping[str, Parameter], values: Values) -> bool:
    """Whether the space reaches these values."""
    return all(_reaches(parameter, values[key]) for key, parameter in space.items())


def grid(space: Mapping[str, Parameter], seed: int) -> list[dict[str, Any]]:
    """Every combination, in an order drawn by seed, so that few trials are spread over the space."""
    columns = [parameter.points() or [] for parameter in space.values()]
    points = [dict(zip(space, combination, strict=True)) for combination in itertools.product(*columns)]
    random.Random(seed).shuffle(points)  # noqa: S311 - an order, no secret
    return [
        {key: list(value) if isinstance(value, tuple) else value for key, value in point.items()}
        for point in points
    ]


def applied(sections: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """Configuration sections with values put in their places."""
    changed = {name: dict(section) for name, section in sections.items()}
    for key, value in values.items():
        section, name = key.split(".")
        changed.setdefault(section, {})[name] = value
    return changed


def check(config: SlateConfig) -> None:
    """Every combination that a trial may meet is one that its section takes.

    All combinations are tried where there are at most 2,000, ranges by their points or their two ends;
    else 2,000 drawn at random.

    Raises:
        ConfigError: naming the key or the combination, and what the section says of it.
    """
    tuning = config.tuning
    for values in _combinations(tuning.space, tuning.seed):
        section = config.section(tuning.objective)
        changed = applied({tuning.objective: section}, values)[tuning.objective]
        try:
            parse_section(_MODELS[tuning.objective], changed)
        except ConfigError as error:
            shown = ", ".join(f"{key}={value}" for key, value in values.items())
            raise ConfigError(
                f"tuning.space: {error}; a trial may meet {shown}: narrow the values in tuning.space"
            ) from error


def _combinations(space: Mapping[str, Parameter], seed: int) -> Iterator[dict[str, Any]]:
    ends = {key: parameter.points() or [parameter.low, parameter.high] for key, parameter in space.items()}
    if math.prod(len(values) for values in ends.values()) <= _MOST_COMBINATIONS:
        for combination in itertools.product(*ends.values()):
            yield dict(zip(ends, combination, strict=True))
        return
    longest = max(len(values) for values in ends.values())
    for place in range(longest):
        yield {key: values[min(place, len(values) - 1)] for key, values in ends.items()}
    generator = random.Random(seed)  # noqa: S311 - a sample, no secret
    for _ in range(_MOST_COMBINATIONS):
        yield {key: generator.choice(values) for key, values in ends.items()}


def _value(parameter: Parameter, stored: Any) -> Any:
    if parameter.choices is not None:
        found = {label(choice): choice for choice in parameter.choices}.get(stored, stored)
        return list(found) if isinstance(found, tuple) else found
    # Optuna's 0.1 + 2 * 0.1 is 0.30000000000000004.
    points = parameter.points()
    return min(points, key=lambda point: abs(point - stored)) if points else stored


def _reaches(parameter: Parameter, value: Any) -> bool:
    if parameter.choices is not None:
        return label(value) in [label(choice) for choice in parameter.choices]
    if not isinstance(value, int | float) or parameter.low is None or parameter.high is None:
        return False
    points = parameter.points()
    if points is not None:
        return any(math.isclose(value, point, abs_tol=1e-12) for point in points)
    return parameter.low <= value <= parameter.high
