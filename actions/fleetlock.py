"""Client of FleetLock: the lock by which machines of a group are rebooted one after another.

Two servers speak it, each in its own dialect. What either says becomes one word that tells whether anything
was taken, and one sentence. Nothing is tried twice here. What a server says is hostile: bounded, cleaned,
without the URL's user-info, and never believed to be more than words.
Protocol: coreos/zincati:docs/development/fleetlock/protocol.md@02a4ebab86b8.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from base64 import b64encode
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from collectors.fleet_model import FleetLock, LockId
from collectors.parse.text import clean
from collectors.redact import redact

if TYPE_CHECKING:
    from collectors.fetch import Posted

TIMEOUT_S = 10.0
LOCK_TIMEOUT_S = 90.0
"""poseidon's server drains the node before it answers, for up to a minute."""
_ZINCATI = bytes.fromhex("de35106b6ec24688b63afddaa156679b")
LIMIT_BYTES = 16 * 1024
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")
_ALL_LOCKED = re.compile(r"all \d{1,9} semaphore slots currently locked")
_HELD_BY = re.compile(r"held by(?P<holder>.*)", re.DOTALL)
_SALT = secrets.token_bytes(16)
_WORDS = 160
_SHORT = 4  # letters: shorter names stand in any sentence


class LockWord(StrEnum):
    TAKEN = "taken"
    """This id has the lock now; airlock says so too where it had it before."""
    RETAINED = "retained"
    """This id has the lock, and had it before we asked."""
    FULL = "full"
    """Others have it; nothing was taken."""
    REFUSED = "refused"
    """A definite error: nothing was taken, or given back."""
    RELEASED = "released"
    """This id does not have the lock, whoever gave it back."""
    UNREACHED = "unreached"
    """The request was not sent: nothing was taken, or given back."""
    UNKNOWN = "unknown"
    """It may have been done, or not."""


@dataclass(frozen=True, slots=True)
class LockAnswer:
    word: LockWord
    text: str
    """One sentence, of printable characters, that names the group."""


@dataclass(frozen=True, slots=True)
class _Said:
    """An error in the protocol's form; empty words where it is none."""

    kind: str = ""
    value: str = ""

    def __str__(self) -> str:
        value = clean(self.value, _WORDS)
        return f"{value} ({clean(self.kind, 40)})" if value and self.kind else value


async def pre_reboot(lock: FleetLock, machine_id: str, *, timeout_s: float = LOCK_TIMEOUT_S) -> LockAnswer:
    """Ask for the lock: TAKEN, RETAINED, FULL, REFUSED, UNREACHED or UNKNOWN.

    `machine_id`: 32 hex digits as /etc/machine-id has them; with anything else nobody is asked.
    """
    found = await _asked(lock, "pre-reboot", machine_id, timeout_s)
    return found if isinstance(found, LockAnswer) else _sentence(lock, *_taken(found))


async def steady_state(lock: FleetLock, machine_id: str, *, timeout_s: float = TIMEOUT_S) -> LockAnswer:
    """Give the lock back: RELEASED, REFUSED, UNREACHED or UNKNOWN. Safe to repeat, and without the lock."""
    found = await _asked(lock, "steady-state", machine_id, timeout_s)
    return (
        found
        if isinstance(found, LockAnswer)
        else _sentence(lock, *_released(found, lock_id(lock, machine_id)))
    )


async def _asked(lock: FleetLock, step: str, machine_id: str, timeout_s: float) -> Posted | LockAnswer:
    if not _MACHINE_ID.fullmatch(machine_id):
        return _sentence(lock, LockWord.REFUSED, "not asked: machine id not known")
    from collectors import fetch  # few fleets have a FleetLock, and httpx takes its time to load

    body = json.dumps({"client_params": {"group": lock.group, "id": lock_id(lock, machine_id)}})
    headers = {"fleet-lock-protocol": "true"}
    try:
        return await fetch.post_json(
            _url(lock.url, step), body, headers=headers, timeout_s=timeout_s, limit_bytes=LIMIT_BYTES
        )
    except fetch.NotReached as error:
        return _sentence(lock, LockWord.UNREACHED, f"server not reached: {error}")
    except fetch.AnswerUnknown as error:
        return _sentence(lock, LockWord.UNKNOWN, f"outcome unknown: {error}")


def lock_id(lock: FleetLock, machine_id: str) -> str:
    """As what the server knows a host, 32 hex digits.

    Zincati's is the machine id keyed by its application, as sd_id128_get_machine_app_specific makes it.
    Sources: systemd/systemd:src/libsystemd/sd-id128/sd-id128.c, coreos/zincati:src/identity/mod.rs,
    poseidon/fleetlock:internal/nodes.go@2dc0036351dd.
    """
    if lock.id is LockId.MACHINE_ID:
        return machine_id
    made = bytearray(hmac.digest(bytes.fromhex(machine_id), _ZINCATI, "sha256")[:16])
    made[6], made[8] = made[6] & 0x0F | 0x40, made[8] & 0x3F | 0x80
    return made.hex()


def _url(base: str, step: str) -> str:
    """The base URL may have a path of its own, with or without a slash at its end, and a query."""
    parts = urlsplit(base)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/v1/{step}", fragment=""))


def _taken(posted: Posted) -> tuple[LockWord, str]:
    """Sources: coreos/airlock:internal/server/pre_reboot.go, internal/lock/semaphore.go@829c7c199f9e;
    poseidon/fleetlock:internal/server.go@2dc0036351dd."""
    said = _said(posted.text)
    if posted.status == 200:
        if posted.text.strip() == "retained reboot lease":
            return LockWord.RETAINED, "was locked for this machine id before"
        return _done(posted, said) or (LockWord.TAKEN, "locked")
    if posted.status == 423:
        held = _HELD_BY.search(said.value)
        if held and not held["holder"].strip():
            # the lease was free, and writing it failed in a way that the server does not tell
            return LockWord.UNKNOWN, f"outcome unknown: {said}"
        return LockWord.FULL, f"is full: {_value(said, posted)}"
    is_full = said.kind == "failed_lock" and _ALL_LOCKED.search(said.value)
    if is_full or said.kind == "failed_lock_semaphore_full":
        return LockWord.FULL, f"is full: {_value(said, posted)}"
    return _failed(posted, said)


def _released(posted: Posted, machine_id: str) -> tuple[LockWord, str]:
    """Sources: coreos/airlock:internal/server/steady_state.go; poseidon/fleetlock:internal/server.go."""
    said = _said(posted.text)
    if posted.status == 200:
        return _done(posted, said) or (LockWord.RELEASED, "unlocked")
    held = _HELD_BY.search(said.value)
    if posted.status == 423 and held and held["holder"].strip() not in ("", machine_id):
        return LockWord.RELEASED, f"was not locked by this machine id: {_value(said, posted)}"
    if posted.status == 423:
        return LockWord.UNKNOWN, f"outcome unknown: {_value(said, posted)}"
    return _failed(posted, said)


def _done(posted: Posted, said: _Said) -> tuple[LockWord, str] | None:
    """What a 200 means that no FleetLock server gives; None where it is a good one."""
    if posted.content_type == "text/html" or posted.text.lstrip().startswith("<"):
        return LockWord.REFUSED, "refused: a web page answers, no FleetLock server"
    if said.kind:
        return LockWord.UNKNOWN, f"outcome unknown: answers 200 with an error: {said}"
    if posted.is_cut:
        return LockWord.UNKNOWN, "outcome unknown: answers 200 with more than a FleetLock server says"
    return None


def _failed(posted: Posted, said: _Said) -> tuple[LockWord, str]:
    """airlock gives `failed_sem_init` before it looks at a lock: the one 5xx that says what was done."""
    if 300 <= posted.status < 500 or said.kind == "failed_sem_init":
        return LockWord.REFUSED, f"refused: {said}" if said.value else f"refused: answers {posted.status}"
    answers = f"answers {posted.status}"
    return (
        LockWord.UNKNOWN,
        f"outcome unknown: {answers}: {said}" if said.value else f"outcome unknown: {answers}",
    )


def _said(text: str) -> _Said:
    """The content type says nothing: airlock sends its JSON as text/plain."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return _Said()
    if not isinstance(found, dict):
        return _Said()
    kind, value = found.get("kind"), found.get("value")
    return _Said(kind if isinstance(kind, str) else "", value if isinstance(value, str) else "")


def _value(said: _Said, posted: Posted) -> str:
    return clean(said.value, _WORDS) or f"answers {posted.status}"


def _sentence(lock: FleetLock, word: LockWord, words: str) -> LockAnswer:
    colon = "" if words.startswith(("is ", "was ", "locked", "unlocked")) else ":"
    return LockAnswer(word, f"FleetLock group {lock.group}{colon} {_without_login(words, lock.url)}")


def _without_login(words: str, url: str) -> str:
    """A server knows the user-info that it was asked with, and may say it."""
    login, at, _ = urlsplit(url).netloc.rpartition("@")
    if at:
        user, _, password = login.partition(":")
        plain = f"{unquote(user)}:{unquote(password)}"
        secrets_of_it = [login, plain, b64encode(plain.encode()).decode(), password, unquote(password)]
        if len(user) >= _SHORT:
            secrets_of_it += [user, unquote(user)]
        for secret in filter(None, secrets_of_it):
            words = words.replace(secret, "[redacted]")
    return redact(words, _SALT)
