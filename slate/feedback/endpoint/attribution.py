"""Which slate an outcome comes from: what the signed exposure id says, and what it does not allow."""

from dataclasses import asdict
from typing import Any, Final

from slate.errors import DataError
from slate.feedback.endpoint.refusal import BadFieldError
from slate.feedback.endpoint.schema import Checked
from slate.feedback.signing import Shown, Signer

#: The clocks of two of our own servers, and a client's own, may differ by so many seconds.
_SKEW_SECONDS: Final = 60.0
_SHADOW: Final = "shadow"


def attribute(event: Checked, signer: Signer | None, window_seconds: float) -> Shown | None:
    """What was shown, by the event's exposure id; None for an organic event.

    Raises:
        BadFieldError: the id is forged, of somebody else, expired, or of a slate nobody saw; or the event
            lies before the slate or after its window.
    """
    if event.exposure_id is None:
        return None
    if signer is None:
        raise BadFieldError("exposure_id", "cannot be checked here", "the endpoint has no signing keys")
    try:
        shown = signer.check(event.exposure_id, event.user_id, window_seconds)
    except DataError as error:
        field, _, rest = str(error).partition(": ")
        problem, _, advice = rest.partition("; ")
        raise BadFieldError(field, problem, advice or "send it sooner") from None
    if shown.variant == _SHADOW:
        raise BadFieldError(
            "exposure_id", "is of a slate nobody saw", "send that of the slate that was shown"
        )
    since = event.timestamp.timestamp() - shown.at
    if since < -_SKEW_SECONDS:
        raise BadFieldError("timestamp", f"lies {-since:.0f} s before the slate was shown", "check the clock")
    if since > window_seconds:
        raise BadFieldError(
            "timestamp", f"lies {since:.0f} s after the slate", f"at most {window_seconds:.0f} s count"
        )
    return shown


def facts(shown: Shown) -> dict[str, Any]:
    """What the record of an outcome keeps of its exposure id."""
    return {name: value for name, value in asdict(shown).items() if value is not None and name != "user"}
