"""FleetLock in both dialects: every word, and what hostile or broken servers are taken for."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions import fleetlock
from actions.fleetlock import LockAnswer, LockWord, lock_id
from collectors.fetch import AnswerUnknown, NotReached, Posted, post_json
from collectors.fleet_model import FleetLock, LockId
from tests.unit.lock_servers import LOCK, UNLOCK, Answer, Fault, LockServer, airlock, poseidon

Make = Callable[[], AbstractContextManager[LockServer]]
OURS = "0123456789abcdef" * 2
OTHER = "f" * 32
BOTH = pytest.mark.parametrize("make", [airlock, poseidon])


def lock(server: LockServer, machine_id: str = OURS, timeout_s: float = 5.0) -> LockAnswer:
    return asyncio.run(
        fleetlock.pre_reboot(FleetLock(server.url, "workers"), machine_id, timeout_s=timeout_s)
    )


def unlock(server: LockServer, machine_id: str = OURS, timeout_s: float = 5.0) -> LockAnswer:
    return asyncio.run(
        fleetlock.steady_state(FleetLock(server.url, "workers"), machine_id, timeout_s=timeout_s)
    )


@BOTH
def test_a_lock_is_taken_and_given_back(make: Make) -> None:
    with make() as server:
        assert lock(server) == LockAnswer(LockWord.TAKEN, "FleetLock group workers locked")
        assert server.holders("workers") == (OURS,)
        assert unlock(server) == LockAnswer(LockWord.RELEASED, "FleetLock group workers unlocked")
        assert server.holders("workers") == ()
        assert [(asked.path, asked.group, asked.id, asked.status) for asked in server.log] == [
            (LOCK, "workers", OURS, 200),
            (UNLOCK, "workers", OURS, 200),
        ]
        assert server.log[0].moment < server.log[1].moment
        assert server.headers[0]["fleet-lock-protocol"] == "true"
        assert server.headers[0]["content-type"] == "application/json"


def test_a_lock_that_was_ours_before_is_told_by_poseidon_alone() -> None:
    with poseidon() as server:
        server.hold("workers", OURS)
        told = "FleetLock group workers was locked for this machine id before"
        assert lock(server) == LockAnswer(LockWord.RETAINED, told)
    with airlock() as server:
        server.hold("workers", OURS)
        assert lock(server).word is LockWord.TAKEN


def test_a_full_group_says_who_or_how_many() -> None:
    with airlock() as server:
        server.hold("workers", OTHER)
        told = "FleetLock group workers is full: all 1 semaphore slots currently locked"
        assert lock(server) == LockAnswer(LockWord.FULL, told)
        assert server.holders("workers") == (OTHER,)
    with poseidon() as server:
        server.hold("workers", OTHER)
        told = f"FleetLock group workers is full: reboot lease lock unavailable, held by {OTHER}"
        assert lock(server) == LockAnswer(LockWord.FULL, told)


def test_airlock_has_as_many_slots_as_it_is_given() -> None:
    with airlock(slots=2) as server:
        words = [lock(server, f"{number:032x}").word for number in range(3)]
        assert words == [LockWord.TAKEN, LockWord.TAKEN, LockWord.FULL]


@BOTH
def test_a_lock_that_nobody_has_is_given_back_too(make: Make) -> None:
    with make() as server:
        assert unlock(server).word is LockWord.RELEASED


@BOTH
def test_a_lock_of_another_is_not_touched_and_not_ours(make: Make) -> None:
    with make() as server:
        server.hold("workers", OTHER)
        assert unlock(server).word is LockWord.RELEASED
        assert server.holders("workers") == (OTHER,)


def test_a_lease_that_could_not_be_written_may_be_ours() -> None:
    with poseidon() as server:
        server.lease_write_fails = True
        assert lock(server).word is LockWord.UNKNOWN


def test_an_unlock_that_the_server_could_not_carry_out_is_not_one() -> None:
    with airlock() as server:
        server.unlock_fails = True
        told = (
            "FleetLock group workers: outcome unknown: answers 500: "
            "conflict on semaphore detected, aborting (failed_lock)"
        )
        assert unlock(server) == LockAnswer(LockWord.UNKNOWN, told)
    with poseidon() as server:
        server.hold("workers", OURS)
        server.knows_node = False
        assert unlock(server).word is LockWord.UNKNOWN
        assert server.holders("workers") == (OURS,)


def test_an_unknown_group_is_refused_in_the_servers_words() -> None:
    with airlock(groups=("default",)) as server:
        told = 'FleetLock group workers: refused: unknown group "workers" (unknown_group)'
        assert lock(server) == LockAnswer(LockWord.REFUSED, told)
        assert unlock(server) == LockAnswer(LockWord.REFUSED, told)


def test_an_airlock_without_its_database_has_taken_nothing() -> None:
    with airlock() as server:
        server.sem_init_fails = True
        assert lock(server).word is LockWord.REFUSED
        assert unlock(server).word is LockWord.REFUSED


@BOTH
@pytest.mark.parametrize("machine_id", ["", "web-1", OURS.upper(), OURS + "\n", "0" * 31, OURS + "0"])
def test_without_a_machine_id_nobody_is_asked(make: Make, machine_id: str) -> None:
    with make() as server:
        told = LockAnswer(LockWord.REFUSED, "FleetLock group workers: not asked: machine id not known")
        assert lock(server, machine_id) == told
        assert unlock(server, machine_id) == told
        assert server.log == []


@pytest.mark.parametrize(
    ("method", "headers", "body", "status", "kind"),
    [
        ("GET", {}, "{}", 405, "method_not_allowed"),
        ("POST", {}, "{}", 400, "missing_header"),
        ("POST", {"fleet-lock-protocol": "true"}, "{}", 400, "decode_error"),
    ],
)
def test_the_poseidon_here_refuses_as_the_real_one(
    method: str, headers: dict[str, str], body: str, status: int, kind: str
) -> None:
    with poseidon() as server:
        answer, _ = server.ask(method, LOCK, headers, body.encode())
        assert (answer.status, json.loads(answer.body)["kind"]) == (status, kind)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 405, 408, 413, 429])
def test_a_definite_error_without_words_is_refused(status: int) -> None:
    with airlock() as server:
        server.answer = Answer(status)
        told = LockAnswer(LockWord.REFUSED, f"FleetLock group workers: refused: answers {status}")
        assert lock(server) == told
        assert unlock(server) == told


@pytest.mark.parametrize("status", [201, 202, 204, 500, 502, 503, 504])
def test_an_answer_that_does_not_say_is_unknown(status: int) -> None:
    with airlock() as server:
        server.answer = Answer(status)
        assert lock(server).word is LockWord.UNKNOWN
        assert unlock(server).word is LockWord.UNKNOWN


@BOTH
@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (Fault.CUT, LockWord.UNKNOWN),
        (Fault.DROP, LockWord.UNKNOWN),
        (Fault.HANG, LockWord.UNKNOWN),
        (Fault.BAD_GATEWAY, LockWord.UNKNOWN),
        (Fault.GARBAGE, LockWord.UNKNOWN),
        (Fault.HUGE, LockWord.UNKNOWN),
        (Fault.PAGE, LockWord.REFUSED),
    ],
)
def test_what_a_broken_server_is_taken_for(make: Make, fault: Fault, word: LockWord) -> None:
    with make() as server:
        server.fault = fault
        for answer in (lock(server, timeout_s=0.3), unlock(server, timeout_s=0.3)):
            assert answer.word is word
            assert answer.text.isprintable()
            assert len(answer.text) < 300


@BOTH
def test_a_lock_may_be_ours_although_the_answer_was_cut(make: Make) -> None:
    with make() as server:
        server.fault, server.fault_path = Fault.CUT, LOCK
        assert lock(server).word is LockWord.UNKNOWN
        assert server.holders("workers") == (OURS,)
        assert unlock(server).word is LockWord.RELEASED
        assert server.holders("workers") == ()


@BOTH
def test_a_fault_may_also_come_before_anything_is_done(make: Make) -> None:
    with make() as server:
        server.fault, server.is_done_first = Fault.CUT, False
        assert lock(server).word is LockWord.UNKNOWN
        assert server.holders("workers") == ()


def test_a_200_that_holds_an_error_or_a_novel_is_unknown() -> None:
    with airlock() as server:
        server.answer = Answer(200, b'{"kind":"failed_lock","value":"nothing done"}')
        assert lock(server).word is LockWord.UNKNOWN
        server.answer = Answer(200, b"x" * 100_000)
        assert lock(server).word is LockWord.UNKNOWN


def test_hostile_words_become_one_printable_line() -> None:
    value = "all 1 semaphore slots currently locked\x1b[2J\n\r\u202egnp" + "[red]x" * 999
    with airlock() as server:
        server.answer = Answer(500, json.dumps({"kind": "failed_lock", "value": value}).encode())
        answer = lock(server)
    assert answer.word is LockWord.FULL
    assert answer.text.isprintable()
    assert len(answer.text) < 250


@pytest.mark.parametrize(
    "body",
    [b"[" * 16000, b'{"kind": 5, "value": {}}', b"null", b'"x"', b"\xff\xfe", b'{"kind":"lock_held"}'],
)
@pytest.mark.parametrize(("status", "word"), [(423, LockWord.FULL), (500, LockWord.UNKNOWN)])
def test_bodies_in_no_known_form_leave_the_status(body: bytes, status: int, word: LockWord) -> None:
    with airlock() as server:
        server.answer = Answer(status, body)
        assert lock(server).word is word


@given(st.integers(200, 599), st.text(max_size=300), st.text(max_size=40), st.booleans())
def test_any_error_is_one_printable_sentence(status: int, value: str, kind: str, is_cut: bool) -> None:
    posted = Posted(status, "", json.dumps({"kind": kind, "value": value}), is_cut)
    for word, words in (fleetlock._taken(posted), fleetlock._released(posted, OURS)):
        assert words.isprintable()
        assert (status == 423) or word is not LockWord.FULL or "failed_lock" in kind
        assert status == 200 or word not in (LockWord.TAKEN, LockWord.RETAINED)


def test_nobody_there_means_that_nothing_was_done() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        nobody = FleetLock(f"http://127.0.0.1:{held.getsockname()[1]}", "workers")
        for ask in (fleetlock.pre_reboot, fleetlock.steady_state):
            answer = asyncio.run(ask(nobody, OURS))
            assert answer.word is LockWord.UNREACHED
            assert answer.text.startswith("FleetLock group workers: server not reached: ")


def test_a_name_that_resolves_to_nothing_is_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    answer = asyncio.run(fleetlock.pre_reboot(FleetLock("http://lock.invalid"), OURS))
    assert answer.word is LockWord.UNREACHED


def test_what_is_no_tls_is_not_reached() -> None:
    with airlock() as server:
        secure = FleetLock(server.url.replace("http:", "https:"), "workers")
        assert asyncio.run(fleetlock.pre_reboot(secure, OURS)).word is LockWord.UNREACHED


@pytest.mark.parametrize(
    ("base", "path"), [("", LOCK), ("/", LOCK), ("/base", "/base" + LOCK), ("/base/?a=b", f"/base{LOCK}?a=b")]
)
def test_the_base_url_may_have_a_path(base: str, path: str) -> None:
    with airlock() as server:
        asyncio.run(fleetlock.pre_reboot(FleetLock(server.url + base), OURS))
        assert [asked.path for asked in server.log] == [path]


def test_user_info_is_sent_and_never_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = "bad login fleet:s3cr%40t or s3cr@t or ZmxlZXQ6czNjckB0 from fleet"
    with airlock() as server:
        where = FleetLock(server.url.replace("//", "//fleet:s3cr%40t@"), "workers")
        server.answer = Answer(401, json.dumps({"kind": "auth", "value": echo}).encode())
        answers = [asyncio.run(fleetlock.pre_reboot(where, OURS))]
        assert server.headers[0]["authorization"] == "Basic ZmxlZXQ6czNjckB0"
        server.fault = Fault.DROP
        answers.append(asyncio.run(fleetlock.steady_state(where, OURS)))
    told = " ".join(answer.text for answer in answers) + caplog.text
    assert "FleetLock group workers: refused: bad login [redacted]" in told
    for secret in ("s3cr", "ZmxlZXQ6", "fleet:", "127.0.0.1", "from fleet"):
        assert secret not in told.replace("(auth)", "")


def test_a_redirect_is_not_followed() -> None:
    async def ask(url: str) -> Posted:
        return await post_json(url, "{}", timeout_s=5, limit_bytes=100)

    with airlock() as server:
        server.answer = Answer(307, b"", f"text/plain\r\nLocation: {server.url}/elsewhere")
        assert asyncio.run(ask(server.url + LOCK)).status == 307
        assert len(server.log) == 1


def test_an_answer_is_bounded_and_never_unpacked() -> None:
    with airlock() as server:
        server.answer = Answer(
            200, b"ab\x00\r\n\xe2\x80\xae" + b"c" * 1000, "text/Plain; a=b\r\nContent-Encoding: gzip"
        )
        found = asyncio.run(post_json(server.url + LOCK, "{}", timeout_s=5, limit_bytes=10))
        assert found == Posted(200, "text/plain", "ab\ufffd\n\ufffdcc", is_cut=True)
        assert server.headers[0]["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "url", ["http://", "ftp://a.example/", "http://a.example:99999/", "nonsense", "http://\x00/"]
)
def test_what_is_no_url_is_not_reached(url: str) -> None:
    with pytest.raises(NotReached):
        asyncio.run(post_json(url, "{}", timeout_s=5, limit_bytes=10))


def test_silence_before_the_request_and_after_it_are_two_things() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        port = silent.getsockname()[1]
        with pytest.raises(NotReached, match=r"no connection in time"):
            asyncio.run(post_json(f"https://127.0.0.1:{port}/", "{}", timeout_s=0.2, limit_bytes=10))
        with pytest.raises(AnswerUnknown, match=r"no answer within 0\.2 s"):
            asyncio.run(post_json(f"http://127.0.0.1:{port}/", "{}", timeout_s=0.2, limit_bytes=10))


@pytest.mark.parametrize(
    ("machine_id", "known_as"),
    [
        ("ec210b3de22b7e2f65111257854e5299", "9114b9e5e9814aad9c44032bd0319397"),
        ("ad432f2cb0c28bbcd1f87a20199237f9", "8121764139b84941ba5ccb83ccae1f98"),
    ],
)
def test_zincatis_id_is_what_systemd_makes_of_the_machine_id(machine_id: str, known_as: str) -> None:
    """Values printed by `systemd-id128 -a`, from poseidon/fleetlock's pull request 60."""
    assert lock_id(FleetLock("http://x", "workers", LockId.ZINCATI), machine_id) == known_as
    assert lock_id(FleetLock("http://x", "workers"), machine_id) == machine_id
