"""A server that is told to go answers everything that reached it, and goes well."""

import signal
import threading
import time
from pathlib import Path

import httpx

from tests.conftest import TinyRun
from tests.serving.conftest import Served, start

PREDICT = "/v1/models/recommender:predict"


DRAIN = 3.0


class Client(threading.Thread):
    """Asks one request after the other until nobody listens any more.

    What waits in the kernel at the instant when the door closes is reset and never reached the server; that
    is the end too, but only for quick requests on new connections, after the server drained.
    """

    def __init__(self, served: Served, user: str) -> None:
        super().__init__()
        self._served = served
        self._user = user
        self.answered = 0
        self.after = 0
        self.told_at = 0.0
        self.lost: list[str] = []

    def run(self) -> None:
        body = {"instances": [{"user_id": self._user, "k": 1}]}
        with httpx.Client(base_url=self._served.url, timeout=20) as client:
            while True:
                try:
                    answer = client.post(PREDICT, json=body)
                except httpx.ConnectError:
                    return
                except httpx.TransportError as error:
                    closed = self.told_at and time.monotonic() - self.told_at >= DRAIN
                    if not (closed and isinstance(error, httpx.ReadError) and self._user != "test:slow"):
                        self.lost.append(repr(error))
                    return
                if answer.status_code != 200:
                    self.lost.append(answer.text)
                self.answered += 1
                self.after += self.told_at > 0


def test_no_request_is_lost(tiny: TinyRun, tmp_path: Path) -> None:
    served = start(tiny, tmp_path, drain_s=DRAIN)
    try:
        clients = [Client(served, user) for user in ("p1", "p2", "p3", "test:slow", "test:slow")]
        for client in clients:
            client.start()
        for _ in range(200):
            if all(client.answered > 0 for client in clients):
                break
            time.sleep(0.1)
        served.process.send_signal(signal.SIGTERM)
        for client in clients:
            client.told_at = time.monotonic()
        time.sleep(0.4)
        probe = httpx.get(f"{served.url}/v2/health/ready")
        assert probe.status_code == 503
        assert probe.headers["connection"] == "close"
        for client in clients:
            client.join(20)
        assert served.process.wait(20) == 0, served.log.read_text()
        assert [client.lost for client in clients] == [[]] * len(clients)
        assert all(client.answered > client.after > 0 for client in clients)
    finally:
        served.process.kill()
        served.process.wait()
