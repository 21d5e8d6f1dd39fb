"""What can go wrong while asking a host or reading its answer.

One tree by place: `HostError` at the edge to a host, `ParseError` in its answer, `ConfigError` in the
operator's own files. Messages are for people; the data behind them are attributes.
"""

from __future__ import annotations

from enum import StrEnum


class Reach(StrEnum):
    """How far we got with a host: `reach.state` of fleetctl.status/1."""

    OK = "ok"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    AUTH_FAILED = "auth_failed"
    HOST_KEY_UNKNOWN = "host_key_unknown"
    HOST_KEY_CHANGED = "host_key_changed"
    REBOOTING = "rebooting"
    PROBE_INCOMPLETE = "probe_incomplete"
    NOT_FLATCAR = "not_flatcar"


class HostError(Exception):
    """Something about one host; never stops the others."""

    def __init__(self, host: str, message: str, reach: Reach) -> None:
        super().__init__(message)
        self.host = host
        self.message = message
        self.reach = reach


class ConnectFailed(HostError):
    """No command was sent: refused, silent, wrong key, not let in."""


class OutcomeUnknown(HostError):
    """A command was sent and its end was not seen; `output` is what came until then."""

    def __init__(self, host: str, message: str, reach: Reach, output: bytes = b"") -> None:
        super().__init__(host, message, reach)
        self.output = output


class ParseError(Exception):
    """A tool's output is not in the form we know; the message names what was found."""


class ConfigError(Exception):
    """A file of the operator's is wrong. `place` is the key path or line, `file` the file's name."""

    def __init__(self, file: str, place: str, message: str) -> None:
        super().__init__(f"{file}: {place}: {message}" if place else f"{file}: {message}")
        self.file = file
        self.place = place
        self.message = message
