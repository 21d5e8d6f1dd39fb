"""Events to another party: in order, tried again, dropped when there are too many, and never in the way."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from actions import notify
from actions.notify import Notifier, NotifyUrl, read_notify_url
from collectors.errors import ConfigError

SECRET = "T0K3N-in-the-path"
Scene = Callable[["Hook"], Awaitable[None]]


class Hook:
    """A server that answers with the next of `statuses`, then 200; 0: it never answers, 1: it hangs up."""

    def __init__(self, statuses: list[int]) -> None:
        self.statuses = statuses
        self.got: list[object] = []
        self.url = ""
        self.asked = asyncio.Event()
        self.over = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        self.got.append(json.loads(await reader.readexactly(length)))
        self.asked.set()
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 0:
            await self.over.wait()
        elif status > 1:
            writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def served(*statuses: int) -> AsyncIterator[Hook]:
    hook = Hook(list(statuses))
    async with await asyncio.start_server(hook.serve, "127.0.0.1", 0) as server:
        hook.url = f"http://user:pa55@127.0.0.1:{server.sockets[0].getsockname()[1]}/{SECRET}"
        try:
            yield hook
        finally:
            hook.over.set()


class Waits:
    """A sleep that takes no time."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


def sent_through(statuses: list[int], events: int) -> tuple[list[object], list[str], list[float]]:
    """What the server got, what was told, how long was waited, for events 0, 1, 2 …"""
    told: list[str] = []
    waits = Waits()

    async def run() -> list[object]:
        async with served(*statuses) as hook:
            async with Notifier(hook.url, told.append, sleep=waits) as notifier:
                for number in range(events):
                    notifier.send({"number": number})
            return hook.got

    return asyncio.run(run()), told, waits.seconds


def numbers(*wanted: int) -> list[object]:
    return [{"number": number} for number in wanted]


# -- sending ----------------------------------------------------------------------------------


def test_events_arrive_in_their_order() -> None:
    assert sent_through([], 5) == (numbers(0, 1, 2, 3, 4), [], [])


@pytest.mark.parametrize("status", [500, 502, 503, 408, 429, 1])
def test_what_may_pass_is_tried_again_and_order_is_kept(status: int) -> None:
    random.seed(7)
    got, told, waits = sent_through([status, status, 200], 2)
    assert got == numbers(0, 0, 0, 1)
    assert told == []
    assert 0.75 <= waits[0] <= 1.25
    assert 1.5 <= waits[1] <= 2.5
    assert len(waits) == 2


def test_four_tries_and_no_more() -> None:
    got, told, waits = sent_through([503] * 4, 2)
    assert got == numbers(0, 0, 0, 0, 1)
    assert [round(wait, -1) for wait in waits] == [0, 0, 0]
    assert 3 <= waits[2] <= 5
    assert told == [
        "notify: an event was not delivered: the server answers 503",
        "notify: 1 event was not delivered",
    ]


@pytest.mark.parametrize("status", [400, 401, 404, 410, 413, 302])
def test_what_will_not_pass_is_not_tried_again(status: int) -> None:
    got, told, waits = sent_through([status, status, 200, status], 4)
    assert got == numbers(0, 1, 2, 3)
    assert waits == []
    first = f"notify: an event was not delivered: the server answers {status}"
    assert told == [first, first, "notify: 3 events were not delivered"]


def test_a_server_that_is_not_there_costs_events_alone() -> None:
    told: list[str] = []
    waits = Waits()

    async def run() -> None:
        async with served() as hook:
            url = hook.url
        async with Notifier(url, told.append, sleep=waits) as notifier:
            notifier.send({})

    asyncio.run(run())
    assert len(waits.seconds) == 3
    assert told[0] == "notify: an event was not delivered: the server is not reached"


def test_an_event_is_sent_as_it_was() -> None:
    async def run() -> list[object]:
        async with served() as hook:
            async with Notifier(hook.url, pytest.fail) as notifier:
                event: dict[str, object] = {"phase": "begun", "text": "é\x1b"}
                notifier.send(event)
                event["phase"] = "ended"
            return hook.got

    assert asyncio.run(run()) == [{"phase": "begun", "text": "é\x1b"}]


def test_what_is_no_json_is_lost_and_raises_nothing() -> None:
    told: list[str] = []
    loop: dict[str, object] = {}
    loop["self"] = loop

    async def run() -> list[object]:
        async with served() as hook:
            async with Notifier(hook.url, told.append) as notifier:
                notifier.send({"path": Path("x")})
                notifier.send({"number": float("nan")})
                notifier.send(loop)
                notifier.send({"number": 1})
            notifier.send({"number": 2})
            return hook.got

    assert asyncio.run(run()) == numbers(1)
    assert told[0] == "notify: an event was not delivered: it is no JSON: TypeError"
    assert "notify: 3 events were not delivered" in told


# -- never in the way -------------------------------------------------------------------------


def test_a_full_queue_drops_its_oldest() -> None:
    told: list[str] = []

    async def run() -> list[object]:
        async with served() as hook:
            async with Notifier(hook.url, told.append) as notifier:
                for number in range(notify.QUEUED + 3):
                    notifier.send({"number": number})
                assert len(notifier._queue) == notify.QUEUED
            return hook.got

    assert asyncio.run(run()) == numbers(*range(3, notify.QUEUED + 3))
    assert told == [
        "notify: an event was not delivered: too many wait",
        "notify: 3 events were not delivered",
    ]


def test_a_server_that_never_answers_holds_nothing_up() -> None:
    told: list[str] = []

    async def run() -> tuple[float, float]:
        async with served(0) as hook:
            begun = time.monotonic()
            async with Notifier(hook.url, told.append, flush_s=0.2) as notifier:
                notifier.send({"number": 0})
                await hook.asked.wait()
                for number in range(1, 4):
                    notifier.send({"number": number})
                sent = time.monotonic() - begun
                flush = time.monotonic()
            return sent, time.monotonic() - flush

    sent_s, closed_s = asyncio.run(run())
    assert sent_s < 2
    assert 0.15 < closed_s < 2
    assert told == ["notify: 4 events were not delivered"]


def test_silence_is_no_answer_and_tried_again() -> None:
    told: list[str] = []

    async def run() -> list[object]:
        async with served(0) as hook:
            async with Notifier(hook.url, told.append, timeout_s=0.2, sleep=Waits()) as notifier:
                notifier.send({"number": 0})
            return hook.got

    assert asyncio.run(run()) == numbers(0, 0)
    assert told == []


def test_waiting_for_the_next_try_ends_with_the_flush() -> None:
    told: list[str] = []

    async def run() -> None:
        async with served(503) as hook, Notifier(hook.url, told.append, flush_s=0.1) as notifier:
            notifier.send({})
            await hook.asked.wait()

    asyncio.run(run())
    assert told == ["notify: 1 event was not delivered"]


def test_the_callers_own_error_comes_through_unwrapped_and_its_group_lives() -> None:
    told: list[str] = []

    async def run() -> list[object]:
        async with served(404) as hook:

            async def order() -> None:
                async with Notifier(hook.url, told.append) as notifier:
                    notifier.send({"number": 0})
                    raise LookupError("the caller's own")

            with pytest.raises(LookupError, match="the caller's own"):
                await order()
            async with asyncio.TaskGroup() as group, Notifier(hook.url, told.append) as notifier:
                group.create_task(asyncio.sleep(0))
                notifier.send({"number": 1})
            return hook.got

    assert asyncio.run(run()) == numbers(0, 1)


def test_a_cancelled_caller_is_cancelled_and_events_are_flushed() -> None:
    async def run() -> list[object]:
        async with served() as hook:
            inside = asyncio.Event()

            async def order() -> None:
                async with Notifier(hook.url, pytest.fail) as notifier:
                    notifier.send({"number": 0})
                    inside.set()
                    await asyncio.sleep(60)

            task = asyncio.ensure_future(order())
            await inside.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return hook.got

    assert asyncio.run(run()) == numbers(0)


def test_cancelled_in_its_flush_it_ends_at_once() -> None:
    told: list[str] = []

    async def run() -> None:
        async with served(0) as hook:

            async def order() -> None:
                async with Notifier(hook.url, told.append, flush_s=60) as notifier:
                    notifier.send({})

            task = asyncio.ensure_future(order())
            await hook.asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    assert told == ["notify: 1 event was not delivered"]


def test_the_url_is_in_no_text(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []

    async def run() -> None:
        async with served(404, 200, 1, 503, 503, 503) as hook:
            async with Notifier(hook.url, told.append, sleep=Waits()) as notifier:
                for number in range(3):
                    notifier.send({"number": number})
            url = hook.url
        for gone in (url, url.replace("http:", "https:"), f"http://no host/{SECRET}", f"x://{SECRET}"):
            async with Notifier(gone, told.append, sleep=Waits()) as notifier:
                notifier.send({})

    asyncio.run(run())
    text = " ".join(told) + caplog.text + "".join(capfd.readouterr())
    assert len(told) >= 10
    assert all(line.startswith("notify: ") for line in told)
    for secret in (SECRET, "pa55", "127.0.0.1", "no host"):
        assert secret not in text


# -- the file ---------------------------------------------------------------------------------


def written(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "notify.url"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_the_url_is_the_first_line_that_says_something(tmp_path: Path) -> None:
    path = written(tmp_path, f"\n  \n https://hooks.example/{SECRET} \nmore\n".encode())
    wanted = NotifyUrl(f"https://hooks.example/{SECRET}", None)
    assert read_notify_url(str(path), tmp_path / "fleet.toml") == wanted
    assert read_notify_url("notify.url", tmp_path / "fleet.toml") == wanted
    assert SECRET not in repr(wanted)


def test_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    written(tmp_path, b"http://hooks.example/")
    assert read_notify_url("~/notify.url", Path("/etc/fleet.toml")).url == "http://hooks.example/"


@pytest.mark.parametrize("bit", [stat.S_IRGRP, stat.S_IROTH])
def test_a_file_that_others_may_read_is_warned_of(tmp_path: Path, bit: int) -> None:
    written(tmp_path, b"http://hooks.example/", 0o600 | bit)
    found = read_notify_url("notify.url", tmp_path / "fleet.toml")
    assert found.warning == "hooks.notify_file: others may read notify.url: chmod 600 it"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty: write the URL into its first line"),
        (b" \n\n", "is empty: write the URL into its first line"),
        (f"ftp://hooks.example/{SECRET}".encode(), "holds no http:// or https:// URL in its first line"),
        (f"{SECRET}\nhttp://hooks.example/".encode(), "holds no http:// or https:// URL in its first line"),
        (f"http://a b/{SECRET}".encode(), "holds no http:// or https:// URL in its first line"),
        (f"http://a/\x1b{SECRET}".encode(), "holds no http:// or https:// URL in its first line"),
        (b"http://a/\xff" + SECRET.encode(), "is not UTF-8 text"),
    ],
)
def test_a_file_without_a_url_is_named_and_not_quoted(tmp_path: Path, content: bytes, words: str) -> None:
    written(tmp_path, content)
    with pytest.raises(ConfigError) as caught:
        read_notify_url("notify.url", tmp_path / "fleet.toml")
    assert str(caught.value) == f"fleet.toml: hooks.notify_file: notify.url {words}"
    assert caught.value.__cause__ is None


def test_a_file_that_is_none_is_said_so(tmp_path: Path) -> None:
    for typed, words in [
        ("gone.url", "gone.url cannot be read: No such file or directory"),
        (".", ". is not a file"),
        ("/dev/null", "/dev/null is not a file"),
    ]:
        with pytest.raises(ConfigError) as caught:
            read_notify_url(typed, tmp_path / "fleet.toml")
        assert (caught.value.place, caught.value.message) == ("hooks.notify_file", words)
