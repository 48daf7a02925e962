"""What a stage raises that gives nothing."""

from slate.errors import SlateError


class StageError(SlateError):
    """A stage gave no usable result: ``reason`` is busy, late, failed or invalid."""

    def __init__(self, stage: str, reason: str, detail: str = "") -> None:
        super().__init__(f"{stage}: {reason}{f', {detail}' if detail else ''}")
        self.stage = stage
        self.reason = reason
