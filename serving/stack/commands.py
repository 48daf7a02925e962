"""How each process of a stack is started: by the commands that anybody could type."""

import sys
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Final

from serving.stack.child import Spec
from serving.stack.ports import Ports
from slate.release.channels import CANDIDATE, SHADOW, STABLE
from slate.rollout.traffic.envoy.admin import Admin

EVENTS: Final = "events"
CONSUMER: Final = "consumer"
ENVOY: Final = "envoy"
ROLLOUT: Final = "rollout"
VARIANTS: Final = (STABLE, CANDIDATE, SHADOW)

_SECONDS: Final = 2.0
#: Consumers write what they have when they end.
_PATIENCE: Final = 30.0


@dataclass(frozen=True)
class Commands:
    """The processes of one stack.

    Args:
        overrides: of the configuration, for all of them.
        logs: the folder of their logs.
    """

    store: str
    config: Path | None
    overrides: Sequence[str]
    ports: Ports
    logs: Path

    def server(self, variant: str) -> Spec:
        """A model server that follows the channel of its variant."""
        http, grpc = getattr(self.ports, variant), getattr(self.ports, f"{variant}_grpc")
        options = ["--channel", variant, "--variant", variant, "--store", self.store]
        options += ["--http-port", str(http), "--grpc-port", str(grpc)]
        # The gateway asks nobody who ends, and there is no balancer that has to learn of it.
        return self._slate(
            variant,
            ["serve", *options, "--set", "serving.drain_s=0"],
            _answers(f"http://127.0.0.1:{http}/v2/models/recommender/ready"),
        )

    def events(self) -> Spec:
        """The events endpoint."""
        port = str(self.ports.events)
        return self._slate(
            EVENTS,
            ["events", "serve", "--port", port, "--set", "feedback.drain_s=0"],
            _answers(f"http://127.0.0.1:{port}/readyz"),
        )

    def consumer(self) -> Spec:
        """What works events off; by its name it goes on at once where it was killed."""
        return self._slate(CONSUMER, ["events", "consume", "--store", self.store, "--name", "up"])

    def rollout(self) -> Spec:
        """The rollout controller."""
        local = ["--set", "rollout.gateway.driver=envoy"]
        return self._slate(ROLLOUT, ["rollout", "watch", "--store", self.store, *local])

    def envoy(self, command: Sequence[str]) -> Spec:
        """The gateway, by the command that its files were written for."""
        return Spec(ENVOY, command, self._log(ENVOY), ready=Admin(self.ports.admin).live)

    def _slate(self, name: str, words: Sequence[str], ready: Callable[[], bool] | None = None) -> Spec:
        told = [word for each in self.overrides for word in ("--set", each)]
        config = [] if self.config is None else ["--config", str(self.config)]
        command = [sys.executable, "-m", "slate.cli.main", *words, *config, *told]
        return Spec(name, command, self._log(name), _PATIENCE, ready)

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


def _answers(url: str) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=_SECONDS):  # noqa: S310 (the loopback)
                return True
        except (OSError, HTTPException):
            return False

    return ask
