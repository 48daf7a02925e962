"""The errors Slate raises on purpose.

A message names the thing, the value and the next step. The command line prints the message alone
and exits with ``exit_code``; ``--debug`` adds the traceback. Servers map the same classes to HTTP
statuses in one table of their own.
"""


class SlateError(Exception):
    """Base of every error a user can act on."""

    exit_code = 1


class ConfigError(SlateError):
    """The configuration is unreadable, has an unknown key, or holds an impossible value."""

    exit_code = 2


class DataError(SlateError):
    """The data cannot be used as described: a missing file or column, or a failed check."""

    exit_code = 4


class StorageError(SlateError):
    """The object store could not be read or written."""

    exit_code = 5


class NotFoundError(StorageError):
    """The named object, release or channel does not exist."""


class ConflictError(StorageError):
    """A compare-and-swap lost: somebody else moved the object first. Read again and retry."""


class FullError(StorageError):
    """A queue holds as much as it may. Nothing was added; send again later."""


class ReleaseError(SlateError):
    """A release is unusable as it stands: unsealed, tampered with, or needing other versions."""

    exit_code = 6


class GateError(SlateError):
    """The gate could not be evaluated. It counts as a refusal."""

    exit_code = 3


class ModelError(SlateError):
    """A model cannot be trained, exported or loaded from what it was given."""

    exit_code = 7


class RolloutError(SlateError):
    """A rollout may not go where it was told to, or its records cannot be understood."""

    exit_code = 8


class GatewayError(SlateError):
    """Whatever carries the traffic could not be told, or asked."""

    exit_code = 8


class ClusterError(SlateError):
    """A cluster could not be reached, or refused."""

    exit_code = 8
