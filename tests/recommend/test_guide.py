"""The configuration that the guide shows is one that loads."""

import re
from pathlib import Path

import yaml

from slate.config import RecommendConfig, parse_section

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "candidates-and-order.md"


def test_the_guide_shows_a_configuration_that_loads() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    config = parse_section(RecommendConfig, yaml.safe_load(block)["recommend"])
    assert (config.sources.two_tower.count, config.sources.item2vec.count) == (150, 0)
    assert config.filters.country is not None
    assert config.filters.country.request == "country"
