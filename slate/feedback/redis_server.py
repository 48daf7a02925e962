"""A Redis that keeps what it acknowledged: connections, scripts, and errors that show no password."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from slate.errors import ConfigError, StorageError

PROCESS: Final = "process"
POWER: Final = "power"
#: ``everysec`` answers before it has written where the disk is busy with the flush before: a killed server
#: then loses up to two seconds, which ``no``, leaving the flush to the kernel, does not.
_FLUSHES: Final = {POWER: ("always",), PROCESS: ("always", "no")}
_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 2.0


class RedisServer:
    """One Redis (or Valkey) server, at ``redis://`` or ``rediss://``; a Redis Cluster is none.

    Nothing is sent twice on its own: a caller that may repeat a call does so.

    Args:
        durability: what the server must be seen to keep: ``power`` needs an append-only file flushed at every
            write, ``process`` one that is written before it answers; None does not look.

    Raises:
        ConfigError: the address is none, or the server keeps less than asked for.
        StorageError: it does not answer.
    """

    def __init__(self, url: str, durability: str | None = POWER) -> None:
        self.address = address(url)
        self.client: Any = Redis.from_url(
            url,
            socket_timeout=_SECONDS,
            socket_connect_timeout=_CONNECT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        if durability is not None:
            self._require(durability)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Whatever goes wrong on the way is a StorageError that names the server."""
        try:
            yield
        except (RedisError, OSError) as error:
            raise StorageError(
                f"{self.address}: {type(error).__name__}: {_first_line(error)}; look at the server"
            ) from error

    def script(self, name: str, shared: str = "") -> Callable[..., Any]:
        """A Lua script of this package, called with keys and arguments; it runs whole or not at all."""
        lua = files("slate.feedback") / "lua"
        text = "\n".join((lua / f"{part}.lua").read_text() for part in (shared, name) if part)
        script = self.client.register_script(text)

        def call(keys: list[str], arguments: list[Any], client: Any = None) -> Any:
            with self.errors():
                return script(keys=keys, args=arguments, client=client)

        return call

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _require(self, durability: str) -> None:
        with self.errors():
            kept = self.client.info("persistence")
            memory = self.client.info("memory")
        if int(kept.get("loading", 0)):
            # Until it has loaded its file it says that it has none.
            raise StorageError(f"{self.address}: is still loading its append-only file; wait for it")
        if not int(kept.get("aof_enabled", 0)):
            raise ConfigError(
                f"{self.address}: has no append-only file and would forget acknowledged events; set "
                "appendonly yes there, or feedback.redis_unchecked=true to take what it does"
            )
        if int(memory.get("maxmemory", 0)) and memory.get("maxmemory_policy") != "noeviction":
            raise ConfigError(
                f"{self.address}: throws keys away when it is full ({memory.get('maxmemory_policy')}); set "
                "maxmemory-policy noeviction there, or feedback.redis_unchecked=true to take what it does"
            )
        flushes = self._flushes()
        if flushes not in _FLUSHES[durability]:
            raise ConfigError(
                f"{self.address}: is not seen to keep every acknowledged write (appendfsync {flushes}); set "
                f"appendfsync {_FLUSHES[durability][0]} there, or feedback.redis_unchecked=true to take it so"
            )

    def _flushes(self) -> str:
        with self.errors():
            try:
                return str(self.client.config_get("appendfsync")["appendfsync"])
            except (ResponseError, KeyError):
                return "is not told"


def address(url: str) -> str:
    """The address of a server as it may be shown: without user and password.

    >>> address("rediss://slate:secret@cache.example:6380/2")
    'rediss://cache.example:6380/2'

    Raises:
        ConfigError: it is none.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("redis", "rediss") and parts.hostname and (parts.port or 6379)
    except ValueError:
        usable = None
    if not usable:
        raise ConfigError("SLATE_REDIS_URL: is no address; write redis://host:6379/0 or rediss://...")
    return f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}{parts.path}"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
