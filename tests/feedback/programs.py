"""What the kill tests kill: ``python -m tests.feedback.programs <role> <configuration> <log>``."""

import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from slate.config import FeedbackConfig
from slate.errors import StorageError
from slate.feedback.open import open_queue, open_shown, open_state
from slate.feedback.queue import EVENTS, EXPOSURES
from slate.storage import LocalStore
from tests.feedback.written import event, exposure


def endpoint(config: FeedbackConfig) -> None:
    """Takes lists of event names on stdin; answers what was new when it is durable, or the trouble."""
    queue = open_queue(config)
    for line in sys.stdin:
        names = json.loads(line)
        shown = [exposure(f"x-{name}", user=_user(name)) for name in names]
        events = [
            event(name, user=_user(name), **({"exposure_id": f"x-{name}"} if int(name[1:]) % 2 else {}))
            for name in names
        ]
        try:
            queue.append(EXPOSURES, shown)
            answer: object = queue.append(EVENTS, events, names)
        except StorageError as error:
            answer = str(error)
        print(json.dumps(answer), flush=True)


def consumer(config: FeedbackConfig, store: str, name: str) -> None:
    """Consumes until it is killed, or stopped by SIGTERM."""
    # Only here: it takes longer to load than all the endpoint needs.
    from slate.feedback import consumer as module

    module._RETRY_SECONDS = 0.05
    worker = module.Consumer(
        open_queue(config), open_state(config), open_shown(config), LocalStore(Path(store)), config, name
    )
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    worker.run(stop)


def _once_open(work: Callable[[], None]) -> None:
    """The store may be on its way back."""
    while True:
        try:
            return work()
        except StorageError:
            time.sleep(0.02)


def _user(name: str) -> str:
    return f"user-{int(name[1:]) % 7}"


if __name__ == "__main__":
    chosen = FeedbackConfig.model_validate_json(sys.argv[2])
    name = sys.stdin.readline().strip()  # Loaded, and waiting for its turn.
    if name and sys.argv[1] == "endpoint":
        _once_open(lambda: endpoint(chosen))
    elif name:
        _once_open(lambda: consumer(chosen, sys.argv[3], name))
