"""What the processes of one stack share, and two stacks on one machine do not."""

from pathlib import Path

from slate.config import SlateConfig
from slate.errors import ConfigError


def apart(folder: Path) -> list[str]:
    """Overrides of a configuration, after which all that a stack writes besides the store lies in a folder.

    >>> apart(Path("/tmp/a"))[0]
    'feedback.state=/tmp/a/state.db'
    """
    inside = folder.absolute()
    return [
        f"feedback.state={inside / 'state.db'}",
        f"serving.state={inside / 'state.db'}",
        f"rollout.gateway.folder={inside / 'gateway'}",
    ]


def shared(chosen: SlateConfig, gateway: Path) -> list[str]:
    """What all processes have to agree on, wherever they are started from.

    Raises:
        ConfigError: servers and feedback would not find each other.
    """
    if chosen.serving.state != chosen.feedback.state:
        raise ConfigError(
            f"serving.state is {chosen.serving.state} and feedback.state {chosen.feedback.state}: on one "
            "machine servers and feedback share one file; name the same"
        )
    state = Path(chosen.feedback.state).absolute()
    return [
        f"serving.state={state}",
        f"feedback.state={state}",
        f"rollout.gateway.folder={gateway}",
    ]
