"""Tells another party what happens: each event as a JSON POST, in order, beside the work.

`send` neither waits nor raises; a server that is slow, away or wrong costs events, never an order. The URL is
a secret: it is in no sentence, no log line and no error of this module, nor is its host.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import stat
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Self

from collectors.errors import ConfigError
from collectors.inventory_checks import is_http_url

KEY = "hooks.notify_file"
QUEUED = 256
FLUSH_S = 10.0
TIMEOUT_S = 10.0
BACKOFF_S = (1.0, 2.0, 4.0)
"""Before the second, third and fourth try; each with a quarter more or less."""
_ANSWER_BYTES = 1024
_FILE_BYTES = 64 * 1024
_TRIED_AGAIN = (408, 429)


@dataclass(frozen=True, slots=True)
class NotifyUrl:
    """What `hooks.notify_file` says."""

    url: str = field(repr=False)
    warning: str | None
    """One sentence where others may read the file."""


def read_notify_url(typed: str, fleet_file: Path) -> NotifyUrl:
    """The URL in the first line of the notify file that is not empty; a relative path is the fleet file's.

    Blocking. Raises ConfigError, which does not quote the file.
    """
    path = fleet_file.parent / os.path.expanduser(typed)

    def wrong(words: str) -> ConfigError:
        return ConfigError(fleet_file.name, KEY, f"{typed} {words}")

    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise wrong("is not a file")
        with path.open("rb") as file:
            text = file.read(_FILE_BYTES).decode("utf-8")
    except OSError as error:
        raise wrong(f"cannot be read: {error.strerror}") from error
    except ValueError:  # its cause would quote the file
        raise wrong("is not UTF-8 text") from None
    url = next((line.strip() for line in text.splitlines() if line.strip()), "")
    if not url:
        raise wrong("is empty: write the URL into its first line")
    if not is_http_url(url) or not url.isprintable():
        raise wrong("holds no http:// or https:// URL in its first line")
    is_open = mode & (stat.S_IRGRP | stat.S_IROTH)
    return NotifyUrl(url, f"{KEY}: others may read {typed}: chmod 600 it" if is_open else None)


class _Try(Enum):
    GOOD = 1
    AGAIN = 2
    IN_VAIN = 3


class Notifier:
    """An async context manager: events are sent while it is open, and for FLUSH_S at most when it is left.

    `told` hears one sentence when events begin to be lost, and how many were in the end.
    """

    def __init__(
        self,
        url: str,
        told: Callable[[str], None],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        timeout_s: float = TIMEOUT_S,
        flush_s: float = FLUSH_S,
    ) -> None:
        self._url = url
        self._told = told
        self._sleep = sleep
        self._timeout_s = timeout_s
        self._flush_s = flush_s
        self._queue: deque[str] = deque()
        self._news = asyncio.Event()
        self._is_closing = False
        self._is_losing = False
        self._lost = 0
        self._in_flight = 0
        self._worker: asyncio.Task[None] | None = None

    def send(self, event: Mapping[str, object]) -> None:
        """Queue an event as it is now; the oldest makes room for it if the queue is full."""
        try:
            text = json.dumps(dict(event), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            self._lose(f"it is no JSON: {type(error).__name__}")
            return
        if self._is_closing:
            self._lose("it came too late")
            return
        if len(self._queue) >= QUEUED:
            self._queue.popleft()
            self._lose("too many wait")
        self._queue.append(text)
        self._news.set()

    async def __aenter__(self) -> Self:
        self._worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closing = True
        self._news.set()
        worker = self._worker
        if worker is None:
            return
        try:
            await asyncio.wait([worker], timeout=self._flush_s)
        finally:
            worker.cancel()
            self._lost += len(self._queue) + self._in_flight
            self._queue.clear()
            if self._lost:
                events = "1 event was" if self._lost == 1 else f"{self._lost} events were"
                self._told(f"notify: {events} not delivered")
        await asyncio.wait([worker])
        if not worker.cancelled() and (broken := worker.exception()):
            self._told(f"notify: stopped by {type(broken).__name__}")

    async def _work(self) -> None:
        while self._queue or not self._is_closing:
            if not self._queue:
                self._news.clear()
                await self._news.wait()
                continue
            text = self._queue.popleft()
            self._in_flight = 1
            why = await self._deliver(text)
            self._in_flight = 0
            if why is None:
                self._is_losing = False
            else:
                self._lose(why)

    async def _deliver(self, text: str) -> str | None:
        """None: the server has it; else why not."""
        for pause_s in (*BACKOFF_S, None):
            outcome, why = await self._post(text)
            if outcome is _Try.GOOD:
                return None
            if outcome is _Try.IN_VAIN or pause_s is None:
                break
            await self._sleep(pause_s * random.uniform(0.75, 1.25))
        return why

    async def _post(self, text: str) -> tuple[_Try, str]:
        from collectors import fetch  # few fleets are told of, and httpx takes its time to load

        try:
            posted = await fetch.post_json(
                self._url, text, timeout_s=self._timeout_s, limit_bytes=_ANSWER_BYTES
            )
        except fetch.NotReached:  # their words may name the host
            return _Try.AGAIN, "the server is not reached"
        except fetch.AnswerUnknown:
            return _Try.AGAIN, "the server gives no answer"
        why = f"the server answers {posted.status}"
        if 200 <= posted.status < 300:
            return _Try.GOOD, why
        is_passing = posted.status >= 500 or posted.status in _TRIED_AGAIN
        return (_Try.AGAIN if is_passing else _Try.IN_VAIN), why

    def _lose(self, why: str) -> None:
        """Counted each time, said once until an event gets through again."""
        self._lost += 1
        if not self._is_losing:
            self._is_losing = True
            self._told(f"notify: an event was not delivered: {why}")
