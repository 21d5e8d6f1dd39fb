"""A small update server that speaks Omaha v3, as Flatcar's update engine does.

Which release a host is offered depends on its track (GROUP); a track that is a version offers that one.
A host's knobs, found by the caller's address, make the server misbehave:

    update=none        answer "noupdate"
    update=error       answer HTTP 500
    payload=corrupt    send a payload whose content does not match its hash
    payload=missing    the payload answers 404
    payload=RATE       send RATE bytes a second

Every request is a line of EVENTS_FILE: time, from, the app's attributes, what it does, its events.
"""

from __future__ import annotations

import json
import time
import xml.etree.ElementTree as ElementTree
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from tests.lab.build import PACKAGE
from tests.lab.machine import host_named, host_names, knobs_of
from tests.lab.releases import CHANNELS, RELEASES_BY_VERSION, version_key
from tests.lab.settings import CHANNELS_FILE, EVENTS_FILE, GATEWAY, RELEASES, SERVER, SERVER_PORT
from tests.lab.system import read_json


def _caller_knobs(address: str) -> dict[str, str]:
    for name in host_names():
        if host_named(name).address == address:
            return knobs_of(name)
    return {}


def offered(track: str, version: str) -> str | None:
    """The release for a host on `track` that runs `version`; None: it has nothing to go to."""
    if track in RELEASES_BY_VERSION:  # by name, in either direction
        return track if track != version else None
    target: str | None = read_json(CHANNELS_FILE, CHANNELS).get(track)
    if target is None or version_key(target) <= version_key(version or "0"):
        return None
    return target


def update_check(app: dict[str, str], knobs: dict[str, str]) -> str:
    """The answer to one <updatecheck>."""
    target = offered(app.get("track", ""), app.get("version", ""))
    info = read_json(RELEASES / str(target) / "info.json", None)
    if target is None or info is None or knobs.get("update") == "none":
        return '<updatecheck status="noupdate"></updatecheck>'
    return (
        f'<updatecheck status="ok"><urls><url codebase="{SERVER}/payload/{target}/"></url></urls>'
        f'<manifest version="{target}"><packages><package name="{PACKAGE}" hash="{info["sha1"]}" '
        f'hash_sha256="{info["sha256"]}" size="{info["size"]}" required="true"></package></packages>'
        f'<actions><action event="postinstall" DisablePayloadBackoff="true"></action></actions>'
        "</manifest></updatecheck>"
    )


def _record(address: str, app: ElementTree.Element) -> None:
    row: dict[str, Any] = {"time": time.time(), "from": address, **app.attrib}
    row["does"] = [element.tag for element in app]
    row["events"] = [element.attrib for element in app.findall("event")]
    with EVENTS_FILE.open("a") as log:
        log.write(json.dumps(row) + "\n")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: EVENTS_FILE holds what matters."""

    def _answer(self, code: int, body: bytes = b"") -> None:
        self.send_response(code)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        address = str(self.client_address[0])
        knobs = _caller_knobs(address)
        try:
            app = ElementTree.fromstring(raw).find("app")
        except ElementTree.ParseError:
            app = None
        if app is None:
            return self._answer(400)
        _record(address, app)
        if knobs.get("update") == "error":
            return self._answer(500)
        inner = "".join('<event status="ok"></event>' for _ in app.findall("event"))
        if app.find("ping") is not None:
            inner += '<ping status="ok"></ping>'
        if app.find("updatecheck") is not None:
            inner += update_check(app.attrib, knobs)
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<response protocol="3.0" server="lab">'
            '<daystart elapsed_seconds="0"></daystart>'
            f'<app appid={quoteattr(app.get("appid", ""))} status="ok">{inner}</app></response>'
        )
        return self._answer(200, text.encode())

    def _payload(self) -> Path | None:
        match self.path.strip("/").split("/"):
            case ["payload", version, name] if version in RELEASES_BY_VERSION and name == PACKAGE:
                path = RELEASES / version / name
                return path if path.is_file() else None
        return None

    def do_GET(self) -> None:
        how = _caller_knobs(str(self.client_address[0])).get("payload", "")
        path = self._payload()
        if path is None or how == "missing":
            return self._answer(404)
        self.send_response(200)
        self.send_header("Content-Type", "application/gzip")
        self.send_header("Content-Length", str(path.stat().st_size))
        self.end_headers()
        try:
            self._send(path, how)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _send(self, path: Path, how: str) -> None:
        rate = int(how) if how.isdigit() else 0
        spoiled = path.stat().st_size * 9 // 10 if how == "corrupt" else -1
        step = max(1024, rate // 10) if rate else 1 << 18
        at = 0
        with path.open("rb") as source:
            while chunk := bytearray(source.read(step)):
                if at <= spoiled < at + len(chunk):
                    chunk[spoiled - at] ^= 0xFF
                self.wfile.write(chunk)
                at += len(chunk)
                if rate:
                    time.sleep(len(chunk) / rate)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


def serve() -> None:
    Server((GATEWAY, SERVER_PORT), Handler).serve_forever()
