"""Gates asked: commands, web servers on loopback and their faults, looks; nothing secret is kept."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from actions.gate_judging import RAW_BYTES, GateAnswer, Judged, Verdict, judge
from actions.gates import SeenHost, ask_gate, contract, query_url
from actions.orders import Baseline
from collectors.facts import Passing, Unit
from collectors.fleet_model import Gate, GateKind
from tests.builders import HEALTHY, unit

SALT = b"salt of this test"
QUERY = "sum(rate(errors[5m])) < bool 1"
PASSWORD = "hunter2-hunter2"
TOKEN = "t0ken-of-the-query"


class Fault(Enum):
    HANG = "no answer until the server is closed"
    SLOW_BODY = "half of the body, then nothing until the server is closed"
    CUT = "half of the body, then the connection is closed"
    DROP = "the connection is closed without an answer"
    NOISE = "something that is no HTTP"


class Server:
    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.body = b""
        self.headers: dict[str, str] = {}
        self.fault: Fault | None = None
        self.asked: list[str] = []
        self.logins: list[str | None] = []
        self.closing = threading.Event()


class Handler(BaseHTTPRequestHandler):
    server_of: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server_of
        server.asked.append(self.path)
        server.logins.append(self.headers.get("Authorization"))
        self.close_connection = True
        told = "".join(f"{name}: {value}\r\n" for name, value in server.headers.items())
        head = f"HTTP/1.1 {server.status} Said\r\n{told}Content-Length: {len(server.body)}\r\n\r\n".encode()
        half = server.body[: len(server.body) // 2]
        match server.fault:
            case Fault.HANG:
                server.closing.wait()
            case Fault.SLOW_BODY:
                self.wfile.write(head + half)
                self.wfile.flush()
                server.closing.wait()
            case Fault.CUT:
                self.wfile.write(head + half)
            case Fault.NOISE:
                self.wfile.write(b"\x00\x1b[31mSSH-2.0-OpenSSH\r\n")
            case None:
                self.wfile.write(head + server.body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


class HttpServer(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has had enough is nothing to print."""


@contextmanager
def served() -> Iterator[Server]:
    server = Server()
    httpd = HttpServer(("127.0.0.1", 0), type("Handler", (Handler,), {"server_of": server}))
    server.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with served() as found:
        yield found


def asked(gate: Gate, timeout_s: float = 10.0, **more: Any) -> tuple[GateAnswer, Judged]:
    """The answer and its verdict, which is the same from what would be stored."""
    answer = asyncio.run(ask_gate(gate, salt=SALT, timeout_s=timeout_s, **more))
    judged = judge(gate, answer)
    stored = msgspec.json.decode(msgspec.json.encode(answer), type=GateAnswer)
    assert judge(gate, stored) == judged
    assert len(answer.raw.encode()) <= RAW_BYTES
    return answer, judged


def command(*argv: str) -> Gate:
    return Gate("smoke", GateKind.COMMAND, None, argv=argv)


def shell(text: str) -> Gate:
    return command("/bin/sh", "-c", text)


def http(url: str) -> Gate:
    return Gate("front", GateKind.HTTP, None, url=url)


def prometheus(url: str | None, query: str = QUERY) -> Gate:
    return Gate("errors", GateKind.PROMETHEUS, None, url=url, query=query)


def vector(*samples: tuple[dict[str, str], str], **more: object) -> bytes:
    now = datetime.now(UTC).timestamp()
    found = [{"metric": metric, "value": [round(now, 3), value]} for metric, value in samples]
    data = {"resultType": "vector", "result": found}
    return json.dumps({"status": "success", "data": data, **more}).encode()


# -- commands ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "verdict", "words"),
    [
        ("echo fine", Verdict.PASS, "ended with 0: fine"),
        ("echo 3 of 5 >&2; exit 1", Verdict.FAIL, "ended with 1: 3 of 5"),
        ("exit 75", Verdict.NO_DATA, "ended with 75"),
        ("exit 126", Verdict.UNANSWERED, "ended with 126"),
        ("exec /no/such/program 2>/dev/null", Verdict.UNANSWERED, "ended with 127"),
        ("kill -9 $$", Verdict.UNANSWERED, "sh was killed by SIGKILL"),
    ],
)
def test_a_command_is_judged_by_how_it_ended(text: str, verdict: Verdict, words: str) -> None:
    _, judged = asked(shell(text))
    assert (judged.verdict, judged.text) == (verdict, words)


def test_a_command_that_is_not_there_or_takes_too_long_gives_no_answer() -> None:
    pids: list[int] = []
    _, away = asked(command("/no/such/program"))
    _, slow = asked(shell("exec sleep 100"), timeout_s=0.2, started=pids.append)
    _, none = asked(command())
    assert [away.verdict, slow.verdict, none.verdict] == [Verdict.UNANSWERED] * 3
    assert "no such program" in away.text
    assert "longer than 0.2 s" in slow.text
    with pytest.raises(ProcessLookupError):
        os.killpg(pids[0], 0)


def test_an_argv_is_no_shell_text_and_its_secrets_are_not_kept() -> None:
    answer, judged = asked(command("/bin/echo", "$HOME; exit 1", "--token", TOKEN))
    assert judged.verdict is Verdict.PASS
    assert "$HOME; exit 1" in answer.raw
    assert TOKEN not in repr((answer, judged))
    assert answer.asked[0].startswith("/bin/echo '$HOME; exit 1' --token [redacted ")


def test_of_a_huge_output_the_last_line_is_kept() -> None:
    text = "import sys; sys.stdout.write('\\x1b[2J' + 'x' * 2_000_000 + '\\nall 5 answered\\n')"
    answer, judged = asked(command(sys.executable, "-c", text))
    assert judged.text == "ended with 0: all 5 answered"
    assert "\x1b" not in answer.raw


# -- http ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "verdict", "words"),
    [
        (204, b"", Verdict.PASS, "answers 204"),
        (404, b"404 page not found\n", Verdict.FAIL, "answers 404: 404 page not found"),
        (503, b"\x1b[31m2 shards down\xff\n", Verdict.FAIL, "answers 503: \ufffd[31m2 shards down\ufffd"),
        (502, b"<html><h1>502 Bad Gateway</h1></html>", Verdict.FAIL, "answers 502"),
        (200, b"x" * (10 * 1024 * 1024), Verdict.PASS, "answers 200"),
    ],
)
def test_a_page_is_judged_by_its_status(
    server: Server, status: int, body: bytes, verdict: Verdict, words: str
) -> None:
    server.status, server.body = status, body
    answer, judged = asked(http(f"{server.url}/healthz"))
    assert (judged.verdict, judged.text) == (verdict, words)
    assert answer.is_cut is (len(body) > RAW_BYTES)


def test_a_redirect_fails_is_named_without_its_secrets_and_not_followed(server: Server) -> None:
    server.status, server.headers = 302, {"Location": f"{server.url}/login?next={TOKEN}"}
    _, judged = asked(http(f"{server.url}/healthz"))
    assert judged.verdict is Verdict.FAIL
    assert f"leads to {server.url}/login?[redacted " in judged.text
    assert TOKEN not in judged.text
    assert server.asked == ["/healthz"]


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("kind", [GateKind.HTTP, GateKind.PROMETHEUS])
def test_a_server_that_breaks_off_gives_no_answer(server: Server, fault: Fault, kind: GateKind) -> None:
    server.fault, server.body = fault, vector(({}, "1"))
    gate = http(server.url) if kind is GateKind.HTTP else prometheus(server.url)
    answer, judged = asked(gate, timeout_s=0.3)
    assert server.asked
    assert (judged.verdict, answer.status) == (Verdict.UNANSWERED, None)
    assert judged.text.isprintable()


def test_a_server_that_is_not_there_gives_no_answer() -> None:
    with served() as server:
        url = server.url.replace("://", f"://admin:{PASSWORD}@")
    for gate in (http(url), prometheus(url)):
        answer, judged = asked(gate)
        assert judged.verdict is Verdict.UNANSWERED
        assert PASSWORD not in repr((answer, judged))


@pytest.mark.parametrize("url", [None, "", "http://[bad", "gopher://front/", "http://"])
def test_a_url_that_cannot_be_asked_is_an_answer(url: str | None) -> None:
    for gate in (replace(http(""), url=url), prometheus(url)):
        assert asked(gate)[1].verdict is Verdict.UNANSWERED


def test_what_a_server_repeats_of_its_secrets_is_not_kept(server: Server) -> None:
    login = b64encode(f"admin:{PASSWORD}".encode()).decode()
    server.status = 403
    server.body = f"no admin with {PASSWORD} ({login}) may use {TOKEN}".encode()
    url = server.url.replace("://", f"://admin:{PASSWORD}@") + f"/healthz?key={TOKEN}"
    answer, judged = asked(http(url))
    assert server.logins == [f"Basic {login}"]
    assert server.asked == [f"/healthz?key={TOKEN}"]
    assert judged.verdict is Verdict.FAIL
    kept = repr((answer, judged))
    assert [secret for secret in (PASSWORD, login, TOKEN, "admin") if secret in kept] == []


# -- prometheus ----------------------------------------------------------------------------------------


def test_a_query_is_asked_as_prometheus_wants_it(server: Server) -> None:
    server.body = vector(({}, "1"))
    answer, judged = asked(prometheus(f"{server.url}/prom/?dedup=true", 'min(up{zone="a&b"}) == bool 1'))
    assert (judged.verdict, judged.text) == (Verdict.PASS, "the answer is 1")
    (path,) = server.asked
    assert urlsplit(path).path == "/prom/api/v1/query"
    assert parse_qs(urlsplit(path).query) == {"dedup": ["true"], "query": ['min(up{zone="a&b"}) == bool 1']}
    assert answer.asked[1] == 'min(up{zone="a&b"}) == bool 1'
    assert json.loads(answer.raw) == json.loads(server.body)


def test_a_servers_url_may_have_a_path_a_login_and_a_query_of_its_own() -> None:
    found = query_url("https://u:p@metrics.example.net/select/0/?t=1#top", "up")
    assert found == "https://u:p@metrics.example.net/select/0/api/v1/query?t=1&query=up"


def test_labels_that_hold_secrets_are_kept_without_and_the_answer_can_still_be_judged(
    server: Server,
) -> None:
    metric = {"password": 'abc"def', "url": f"http://u:{PASSWORD}@x/", "authorization": "Basic YWJjOmRlZg=="}
    metric["job"] = "\ud800\0"  # half of a surrogate pair: `asked` stores it
    server.body = vector((metric, "0"), ({"job": "b"}, "1"), note=f"admin:{PASSWORD}")
    answer, judged = asked(prometheus(server.url.replace("://", f"://admin:{PASSWORD}@")))
    assert judged.verdict is Verdict.FAIL
    assert "0 for 1 of 2 series" in judged.text
    assert answer.raw.isascii()
    kept = repr((answer, judged))
    assert [secret for secret in (PASSWORD, 'abc"def', "abc\\", "YWJjOmRlZg") if secret in kept] == []


PARSE_ERROR = b'{"status":"error","errorType":"bad_data","error":"1:5: parse error"}'
TOO_MUCH = "answers 200 with more than 16 KiB: ask for less, as in `min(…)`"


@pytest.mark.parametrize(
    ("status", "body", "verdict", "words"),
    [
        (200, vector(), Verdict.NO_DATA, "no series"),
        (400, PARSE_ERROR, Verdict.UNANSWERED, "answers 400: bad_data: 1:5: parse error"),
        (502, b"<html>Bad Gateway</html>" * 9000, Verdict.UNANSWERED, "answers 502"),
        (200, b"[" * 100_000, Verdict.UNANSWERED, TOO_MUCH),
        (200, vector(*(({"instance": f"web-{n}"}, "1") for n in range(400))), Verdict.UNANSWERED, TOO_MUCH),
        (200, b"[" * 9_000, Verdict.UNANSWERED, "answers 200, and not as Prometheus does"),
        (200, bytes(range(256)), Verdict.UNANSWERED, "answers 200, and not as Prometheus does"),
    ],
)
def test_what_prometheus_answers_otherwise(
    server: Server, status: int, body: bytes, verdict: Verdict, words: str
) -> None:
    server.status, server.body = status, body
    _, judged = asked(prometheus(server.url))
    assert (judged.verdict, judged.text) == (verdict, words)


# -- hosts, a person -----------------------------------------------------------------------------------


def health(*seen: SeenHost, kind: GateKind = GateKind.HEALTH) -> tuple[GateAnswer, Judged]:
    return asked(Gate("hosts", kind, None), host_states=seen)


def test_looks_handed_in_are_judged_and_kept_without_secrets() -> None:
    ill = SeenHost("b", False, f"no good answer to http://u:{PASSWORD}@b/")
    answer, judged = health(SeenHost("a", True), ill, SeenHost("c", None, "timeout"))
    assert judged.verdict is Verdict.FAIL
    assert answer.asked == ("a", "b", "c")
    assert PASSWORD not in repr((answer, judged))
    assert health(SeenHost("a", True), kind=GateKind.CONTRACT)[1].verdict is Verdict.PASS
    assert health(SeenHost("a", True), SeenHost("c", None, "timeout"))[1].verdict is Verdict.UNANSWERED


def test_of_a_thousand_hosts_all_count_and_the_ill_are_kept_first() -> None:
    seen = [SeenHost(f"web-{n}", None, "\u20ac" * 300) for n in range(999)] + [SeenHost("z", False, "down")]
    answer, judged = health(*seen)
    assert answer.is_cut
    assert judged.verdict is Verdict.FAIL
    assert judged.text == "1 of 1000 not well: z (down)"
    assert judged.values == {"well": "0", "ill": "1", "unseen": "999"}


def test_a_person_is_not_asked_and_no_host_is_no_data() -> None:
    _, judged = asked(Gate("go", GateKind.PERSON, None))
    assert (judged.verdict, judged.text) == (Verdict.UNANSWERED, "only a person answers it")
    assert health()[1].verdict is Verdict.NO_DATA


# -- the contract --------------------------------------------------------------------------------------

WAS = Baseline(active_units=("containerd.service", "kubelet.service", "app.service"), containers=4)
AGAIN = replace(HEALTHY, units={**HEALTHY.units, "kubelet.service": unit()}, passing=Passing(containers=4))


def with_unit(name: str, found: Unit | None) -> dict[str, Unit]:
    others = {other: of for other, of in AGAIN.units.items() if other != name}
    return others if found is None else {**others, name: found}


def test_what_a_host_gave_before_it_must_give_again() -> None:
    assert contract("a", WAS, AGAIN) == SeenHost("a", True)
    assert contract("a", WAS, replace(AGAIN, passing=Passing(containers=9))).well is True


RUNTIME = "the container runtime does not answer: containerd.service is failed"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"units": with_unit("containerd.service", unit("failed"))}, RUNTIME),
        (
            {"units": with_unit("kubelet.service", unit("activating"))},
            "no kubelet: kubelet.service is activating",
        ),
        ({"passing": Passing(containers=3)}, "3 containers run, 4 did"),
        ({"passing": Passing(containers=0)}, "no containers run, 4 did"),
    ],
)
def test_what_was_there_is_missed_and_nothing_else(changes: dict[str, Any], why: str) -> None:
    facts = replace(AGAIN, **changes)
    assert contract("a", WAS, facts) == SeenHost("a", False, why)
    assert contract("a", Baseline(), facts).well is True


def test_what_was_not_read_is_neither_well_nor_ill() -> None:
    assert contract("a", None, AGAIN) == SeenHost("a", None, "no baseline")
    assert contract("a", WAS, None) == SeenHost("a", None, "not seen")
    no_unit = replace(AGAIN, units=with_unit("kubelet.service", None))
    assert contract("a", WAS, no_unit) == SeenHost("a", None, "kubelet.service not read")
    no_count = replace(AGAIN, passing=Passing())
    assert contract("a", WAS, no_count) == SeenHost("a", None, "containers not read")
    both = replace(no_count, units=with_unit("kubelet.service", unit("failed")))
    assert contract("a", WAS, both).well is False
