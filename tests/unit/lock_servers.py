"""Two FleetLock servers on loopback, each in its own dialect, that can be told to misbehave.

`with airlock(slots=1) as server:` gives a server in a thread of its own: `server.url`, `server.log`,
`server.holders("workers")`. Sources: coreos/airlock:internal/server/pre_reboot.go,
internal/lock/semaphore.go@829c7c199f9e; poseidon/fleetlock:internal/server.go@2dc0036351dd.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

_MOMENTS = itertools.count(1)
LOCK = "/v1/pre-reboot"
UNLOCK = "/v1/steady-state"
HUGE = 4 * 1024 * 1024


class Fault(StrEnum):
    """What a server does in place of its answer, having done what it was asked unless told otherwise."""

    HANG = "hang"
    """Until the server is closed."""
    CUT = "cut"
    """Half of an answer, and the connection is closed."""
    DROP = "drop"
    """The connection is closed without an answer."""
    BAD_GATEWAY = "bad-gateway"
    """The page of a proxy."""
    PAGE = "page"
    """200 with a web page."""
    GARBAGE = "garbage"
    """500 with bytes that are no text."""
    HUGE = "huge"
    """500 with a huge text."""


class Asked(NamedTuple):
    """One request as it was answered, or would have been without a fault."""

    moment: int
    """Of all servers in this process, in their order."""
    path: str
    group: str
    id: str
    status: int


class Answer(NamedTuple):
    status: int
    body: bytes = b""
    content_type: str | None = None


class LockServer:
    """What both have in common. Attributes may be set at any time; they hold from the next request on."""

    def __init__(self, slots: int, groups: tuple[str, ...]) -> None:
        self.url = ""
        self.log: list[Asked] = []
        self.headers: list[Mapping[str, str]] = []
        """Of each request, names in lower case."""
        self.fault: Fault | None = None
        self.fault_path: str | None = None
        """None: both."""
        self.is_done_first = True
        """The request is carried out although the answer is a fault."""
        self.answer: Answer | None = None
        """Given in place of any other, and nothing is done."""
        self.closing = threading.Event()
        self._slots = slots
        self._holders: dict[str, list[str]] = {group: [] for group in groups}
        self._mutex = threading.Lock()

    def holders(self, group: str) -> tuple[str, ...]:
        with self._mutex:
            return tuple(self._holders.get(group, ()))

    def hold(self, group: str, machine_id: str) -> None:
        """Somebody else's lock, taken without a request."""
        with self._mutex:
            self._holders.setdefault(group, []).append(machine_id)

    def release(self, group: str, machine_id: str) -> None:
        """Somebody else's lock, given back without a request."""
        with self._mutex:
            self._holders[group].remove(machine_id)

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[Answer, Fault | None]:
        with self._mutex:
            group, machine_id = _identity(body)
            fault = self.fault if self.fault_path in (None, path) else None
            answer = self.answer
            if answer is None and (fault is None or self.is_done_first):
                answer = self._answer(method, path, headers, group, machine_id)
            answer = answer or Answer(500)
            self.headers.append(headers)
            self.log.append(Asked(next(_MOMENTS), path, group, machine_id, answer.status))
            return answer, fault

    def _answer(
        self, method: str, path: str, headers: Mapping[str, str], group: str, machine_id: str
    ) -> Answer:
        raise NotImplementedError


class Airlock(LockServer):
    """Slots per group; errors are JSON sent as plain text; whether an id held a slot before is not said."""

    sem_init_fails = False
    unlock_fails = False

    def _answer(
        self, method: str, path: str, headers: Mapping[str, str], group: str, machine_id: str
    ) -> Answer:
        if path not in (LOCK, UNLOCK):
            return Answer(404, b"404 page not found\n", "text/plain; charset=utf-8")
        if headers.get("fleet-lock-protocol") != "true" or not group or not machine_id:
            return self._error(400, "invalid_client_identity", "failed to validate client identity: empty")
        if group not in self._holders:
            return self._error(400, "unknown_group", f'unknown group "{group}"')
        if self.sem_init_fails:
            words = "failed to initialize semaphore manager: context deadline exceeded"
            return self._error(500, "failed_sem_init", words)
        holders = self._holders[group]
        if path == UNLOCK:
            if self.unlock_fails:
                return self._error(500, "failed_lock", "conflict on semaphore detected, aborting")
            self._holders[group] = [holder for holder in holders if holder != machine_id]
            return Answer(200)
        if machine_id in holders:
            return Answer(200)
        if len(holders) >= self._slots:
            return self._error(500, "failed_lock", f"all {self._slots} semaphore slots currently locked")
        holders.append(machine_id)
        return Answer(200)

    def _error(self, status: int, kind: str, value: str) -> Answer:
        body = json.dumps({"kind": kind, "value": value}).encode() + b"\n"
        return Answer(status, body, "text/plain; charset=utf-8")


class Poseidon(LockServer):
    """One lease per group, any group; POST alone; it drains and uncordons the node that an id belongs to."""

    lease_write_fails = False
    knows_node = True
    """False: no node of its cluster belongs to the id, so that it cannot uncordon and keeps the lease."""

    def _answer(
        self, method: str, path: str, headers: Mapping[str, str], group: str, machine_id: str
    ) -> Answer:
        if path not in (LOCK, UNLOCK):
            return Answer(404, b"404 page not found\n", "text/plain; charset=utf-8")
        if method != "POST":
            return self._error(405, "method_not_allowed", "required method POST")
        if headers.get("fleet-lock-protocol") != "true":
            return self._error(400, "missing_header", "missing required header fleet-lock-protocol: true")
        if not group or not machine_id:
            return self._error(400, "decode_error", "error decoding message")
        holders = self._holders.setdefault(group, [])
        holder = holders[0] if holders else ""
        return (
            self._lock(holders, holder, machine_id)
            if path == LOCK
            else self._unlock(group, holder, machine_id)
        )

    def _lock(self, holders: list[str], holder: str, machine_id: str) -> Answer:
        if holder == machine_id:
            return _plain("retained reboot lease")
        if not holder and not self.lease_write_fails:
            holders.append(machine_id)
            return _plain("obtained reboot lease")
        return self._error(423, "lock_held", f"reboot lease lock unavailable, held by {holder}")

    def _unlock(self, group: str, holder: str, machine_id: str) -> Answer:
        if holder == machine_id:
            if not self.knows_node:
                return self._error(500, "internal_error", "error uncordoning node")
            self._holders[group] = []
            return _plain(f"unlocked reboot lease for {machine_id}")
        if not holder:
            return _plain("reboot lease already unlocked")
        return self._error(423, "lock_held", f"reboot lease unlock unavailable, held by {holder}")

    def _error(self, status: int, kind: str, value: str) -> Answer:
        body = json.dumps({"kind": kind, "value": value}).encode() + b"\n"
        return Answer(status, body, "application/json")


@contextmanager
def airlock(slots: int = 1, groups: tuple[str, ...] = ("default", "workers")) -> Iterator[Airlock]:
    server = Airlock(slots, groups)
    with _served(server):
        yield server


@contextmanager
def poseidon() -> Iterator[Poseidon]:
    server = Poseidon(1, ())
    with _served(server):
        yield server


@contextmanager
def _served(server: LockServer) -> Iterator[None]:
    class Handler(_Handler):
        lock_server = server

    httpd = _HttpServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.closing.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone away is nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    lock_server: LockServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer, fault = self.lock_server.ask(self.command, self.path, headers, self.rfile.read(length))
        self.close_connection = True
        match fault:
            case None:
                self._send(answer)
            case Fault.HANG:
                self.lock_server.closing.wait()
            case Fault.CUT:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nobtained")
            case Fault.DROP:
                pass
            case _:
                self._send(_FAULTS[fault])

    do_GET = do_POST

    def _send(self, answer: Answer) -> None:
        kind = f"Content-Type: {answer.content_type}\r\n" if answer.content_type else ""
        head = f"HTTP/1.1 {answer.status} Said\r\n{kind}Content-Length: {len(answer.body)}\r\n"
        self.wfile.write(f"{head}Connection: close\r\n\r\n".encode() + answer.body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


_PAGE = b"<!DOCTYPE html><html><h1>Bad gateway</h1></html>"
_FAULTS = {
    Fault.BAD_GATEWAY: Answer(502, _PAGE, "text/html"),
    Fault.PAGE: Answer(200, _PAGE, "text/html; charset=utf-8"),
    Fault.GARBAGE: Answer(500, bytes(range(256)) * 4, "application/json"),
    Fault.HUGE: Answer(500, b'{"kind":"' + b"x" * HUGE, "application/json"),
}


def _plain(text: str) -> Answer:
    return Answer(200, text.encode(), "text/plain; charset=utf-8")


def _identity(body: bytes) -> tuple[str, str]:
    """Group and id, "" where the body does not say them."""
    try:
        client = json.loads(body)["client_params"]
        return str(client["group"]), str(client["id"])
    except (ValueError, KeyError, TypeError):
        return "", ""
