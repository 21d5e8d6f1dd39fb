"""The only client of httpx: bounded questions to web servers, from the console.

Redirects are not followed and proxies of the environment are not used: a question goes to the server that was
named, or nowhere. Certificates are those that httpx brings and those of this machine, where the names of
private servers are certified. No message and no log line here holds a URL: it may hold a secret.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import unicodedata
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache

import httpx

from collectors.parse.text import clean

_GOOD = range(200, 400)
_CONNECT_SHARE = 0.45

for _talker in ("httpx", "httpcore"):  # each request is logged there, with its whole URL
    logging.getLogger(_talker).setLevel(logging.WARNING)


class PostFailed(Exception):
    """There is no whole answer; the message says why and names no URL."""


class NotReached(PostFailed):
    """Certainly nothing was done: the request was not sent, not even in part."""


class AnswerUnknown(PostFailed):
    """The request may have been carried out."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A whole answer to a POST."""

    status: int
    content_type: str
    """In lower case, without parameters; "" if the server names none."""
    text: str
    """The body: decoded, what does not print (newlines and tabs aside) as U+FFFD; what a JSON text in it
    escapes is still escaped, so strings read from it want cleaning again."""
    is_cut: bool
    """The body is longer than `text`."""


async def why_ill(url: str, *, timeout_s: float) -> str | None:
    """None where a GET is answered with 2xx or 3xx in time, else why not. Redirects are not followed, the
    body is not read, proxies of the environment are not used."""
    try:
        async with _client(timeout_s) as client, client.stream("GET", url) as answer:
            return None if answer.status_code in _GOOD else f"answers {answer.status_code}"
    except httpx.TimeoutException:
        return f"no answer within {timeout_s:g} s"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return clean(str(error), 120) or type(error).__name__


async def post_json(
    url: str,
    body: str,
    *,
    headers: Mapping[str, str] | None = None,
    timeout_s: float,
    limit_bytes: int,
) -> Posted:
    """The answer to a POST of `body`, a JSON text; at most `limit_bytes` of the answer's body are read.

    `timeout_s` bounds the whole exchange, a little less than half of it each of the connection's two steps,
    TCP and TLS. User-info in the URL is sent as basic authentication.
    Raises NotReached or AnswerUnknown.
    """
    is_sent = False
    # httpx is to give up a handshake by itself: cancelled in one, it leaves the socket open
    each = httpx.Timeout(timeout_s, connect=timeout_s * _CONNECT_SHARE)

    async def trace(event: str, _: object) -> None:
        nonlocal is_sent
        is_sent = is_sent or event.endswith("send_request_headers.started")

    # identity: a body that unpacks into gigabytes cannot be bounded by what is read of it
    told = {**(headers or {}), "Content-Type": "application/json", "Accept-Encoding": "identity"}
    try:
        async with (
            asyncio.timeout(timeout_s),
            _client(each) as client,
            client.stream(
                "POST", url, content=body.encode(), headers=told, extensions={"trace": trace}
            ) as answer,
        ):
            raw = await _first_bytes(answer.aiter_raw(), limit_bytes + 1)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        # without its cause, which knows the URL
        raise (AnswerUnknown if is_sent else NotReached)(_why(error, timeout_s, is_sent=is_sent)) from None
    content_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    text = _printable(raw[:limit_bytes].decode("utf-8", "replace"))
    return Posted(answer.status_code, clean(content_type), text, len(raw) > limit_bytes)


@dataclass(frozen=True, slots=True)
class Got:
    """A whole answer to a GET."""

    status: int
    text: str
    """As of a POST."""
    is_cut: bool
    leads_to: str
    """Where a redirect leads; "" if the server names no place."""


async def get_text(url: str, *, timeout_s: float, limit_bytes: int) -> Got:
    """The answer to a GET; at most `limit_bytes` of its body are read. Times and user-info as for a POST.

    Raises PostFailed.
    """
    each = httpx.Timeout(timeout_s, connect=timeout_s * _CONNECT_SHARE)
    try:
        async with (
            asyncio.timeout(timeout_s),
            _client(each) as client,
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            raw = await _first_bytes(answer.aiter_raw(), limit_bytes + 1)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        # without its cause, which knows the URL
        raise PostFailed(_why(error, timeout_s, is_sent=True)) from None
    text = _printable(raw[:limit_bytes].decode("utf-8", "replace"))
    return Got(answer.status_code, text, len(raw) > limit_bytes, answer.headers.get("location", ""))


@asynccontextmanager
async def _client(timeout: float | httpx.Timeout) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        timeout=timeout, follow_redirects=False, trust_env=False, verify=_certificates()
    ) as client:
        yield client


@cache
def _certificates() -> ssl.SSLContext:
    """Loaded once: it takes 60 ms."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


async def _first_bytes(chunks: AsyncIterator[bytes], most: int) -> bytes:
    found = bytearray()
    async for chunk in chunks:
        found += chunk[: most - len(found)]
        if len(found) >= most:
            break
    return bytes(found)


def _why(error: Exception, timeout_s: float, *, is_sent: bool) -> str:
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return "not a URL that can be asked"
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return f"no answer within {timeout_s:g} s" if is_sent else "no connection in time"
    return clean(str(error), 120) or type(error).__name__


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        char if char in "\n\t" or unicodedata.category(char)[0] != "C" else "\ufffd"
        for char in text.replace("\r\n", "\n")
    )
