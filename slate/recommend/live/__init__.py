"""What happened since the release: events, what users block, items that came or went, slates made ahead."""

from slate.feedback.state import LiveUser
from slate.recommend.live.base import STRANGER, Ahead, LiveState, NothingLive

__all__ = ["STRANGER", "Ahead", "LiveState", "LiveUser", "NothingLive"]
