"""All that can end a rollout wrongly adds up to alpha."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slate.config import GuardrailsConfig, RolloutConfig
from slate.errors import ConfigError
from slate.rollout.judge.spending import spending

WEIGHT = st.floats(0.1, 10)


@given(
    st.lists(st.floats(0.5, 90), min_size=1, max_size=6, unique=True), WEIGHT, WEIGHT, st.floats(0.01, 0.2)
)
def test_everything_adds_up(steps: list[float], ratio: float, harm: float, total: float) -> None:
    config = RolloutConfig(steps=sorted(steps), alpha={"total": total, "ratio": ratio, "harm": harm})
    parts = [spending(config, percent) for percent in config.steps]
    guardrails = len(GuardrailsConfig.model_fields)
    spent = sum(part.ratio + part.harm + guardrails * part.guardrail for part in parts) + parts[-1].win
    assert spent == pytest.approx(total)


def test_the_ratio_test_has_most_where_it_sees_most() -> None:
    config = RolloutConfig()
    assert spending(config, 50).ratio == pytest.approx(0.0101, abs=1e-4)
    assert spending(config, 1).ratio < 0.001


def test_a_step_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="no step at 7"):
        spending(RolloutConfig(), 7)
