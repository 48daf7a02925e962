"""The periods that engagement is measured by, apart from what measures it: naming them loads nothing."""

from typing import Literal

Period = Literal["day", "week", "month", "all"]
