"""A host's question to its update server, and what it makes of the answer.

Sources: flatcar/update_engine:src/update_engine/{omaha_request_action,libcurl_http_fetcher}.cc@7382641.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import urlsplit

from console.demo.files import PUBLIC_SERVER
from console.demo.live import words
from console.demo.live.machine import Machine

_BAD_BODIES = {"empty": 30, "not-xml": 31, "other-xml": 34, "error-status": 34}
_LOCAL = ("localhost", "127.0.0.1")
_LOCAL_PORTS = (9090, 9091)


class Verdict(Enum):
    NOTHING = auto()
    OFFER = auto()
    INVALID = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    verdict: Verdict
    version: str | None = None
    code: int = 0
    http_status: int = 0
    """2000 + what the server said is reported; 0: no answer."""


def complaint_of(server: str) -> str | None:
    """Why nothing is reached at this SERVER; None: it leads somewhere."""
    try:
        parts = urlsplit(server if "://" in server else f"http://{server}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "URL using bad/illegal format or missing URL"
    if host in _LOCAL and port in _LOCAL_PORTS:
        return f"Failed to connect to {host} port {port} after 0 ms: Could not connect to server"
    if "." not in host and ":" not in host:
        return f"Could not resolve host: {host}" if host else "No host part in the URL"
    return None


def ask(machine: Machine, local_offer: str | None, *, interactive: bool) -> Generator[float, None, Answer]:
    """Ask the server that update.conf names; without an answer once more, or three times if not by hand."""
    server = machine.setting("SERVER", PUBLIC_SERVER)
    is_local = local_offer is not None and "localhost" in server
    trouble = None if is_local else complaint_of(server)
    if trouble is None and not is_local and machine.server.is_unreachable:
        trouble = f"Could not resolve host: {urlsplit(server).hostname}"
    if trouble is not None:
        retries = 1 if interactive else 3
        for retry in range(1, retries + 1):
            machine.say(*words.no_contact(machine.wall, trouble, retry))
            yield machine.timing.connect_retry
        machine.say(*words.no_contact(machine.wall, trouble, None))
        return Answer(Verdict.INVALID, code=37)
    yield machine.timing.answer
    if is_local:
        return Answer(Verdict.OFFER, local_offer)
    return _answer_of(machine)


def _answer_of(machine: Machine) -> Answer:
    server = machine.server
    if server.http_status != 200:
        machine.say(words.http_error(machine.wall, server.http_status))
        return Answer(Verdict.INVALID, code=37, http_status=server.http_status)
    if server.body in _BAD_BODIES:
        return Answer(Verdict.INVALID, code=_BAD_BODIES[server.body])
    offered = server.offers.get(machine.setting("GROUP", machine.state.group))
    if offered is None or not _is_wanted(machine, offered):
        return Answer(Verdict.NOTHING)
    return Answer(Verdict.OFFER, offered)


def _is_wanted(machine: Machine, version: str) -> bool:
    mine, theirs = _key(machine.state.version), _key(version)
    return theirs != mine if machine.server.allows_downgrade else theirs > mine


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
