"""Asks a gate's question once and keeps what came back, as `gate_judging` judges it now and later.

A command runs on the console without a shell, in a process group of its own; a URL is asked by GET, without
following redirects; hosts are not asked here, their looks are handed in. Whatever happens there is an answer,
if only one that says why nobody gave one. Nothing in it holds a secret of the gate's URL or argv.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from actions.gate_judging import RAW_BYTES, GateAnswer
from actions.hooks import HookWord, run_hook
from actions.orders import Baseline
from collectors.facts import HostFacts
from collectors.fleet_model import Gate, GateKind
from collectors.parse.text import clean
from collectors.redact import redact

TIMEOUT_S = 30.0
_READ_BYTES = RAW_BYTES + 4 * 1024  # what is kept is redacted with what stands behind it
_WHY = 160
_PLACE = 200
_SECRET = 4  # characters: shorter ones stand in any text
_SECRET_VALUE = 8


@dataclass(frozen=True, slots=True)
class SeenHost:
    """A host that counts for a gate, as it was last looked at."""

    name: str
    well: bool | None
    """None: it was not seen, or not enough of it."""
    why: str = ""
    """Why it is not well, or not seen."""


async def ask_gate(
    gate: Gate,
    *,
    salt: bytes,
    timeout_s: float = TIMEOUT_S,
    host_states: Sequence[SeenHost] = (),
    started: Callable[[int], None] = lambda _: None,
) -> GateAnswer:
    """The answer to one question. `timeout_s` bounds it; a command has a few seconds more to end.

    `host_states`: for HEALTH and CONTRACT, each host that counts. `started` hears a command's pid at once.
    A person is not asked.
    """
    asked_at = datetime.now(UTC)
    match gate.kind:
        case GateKind.COMMAND:
            return await _command(gate, asked_at, salt, timeout_s, started)
        case GateKind.HTTP | GateKind.PROMETHEUS:
            return await _http(gate, asked_at, salt, timeout_s)
        case GateKind.HEALTH | GateKind.CONTRACT:
            hidden = [SeenHost(host.name, host.well, redact(host.why, salt)) for host in host_states]
            raw, is_cut = hosts_raw(hidden)
            names = tuple(host.name for host in host_states)
            return GateAnswer(gate.kind, asked_at, names, raw, is_cut)
        case GateKind.PERSON:
            return GateAnswer(gate.kind, asked_at, why_unanswered="only a person answers it")


async def _command(
    gate: Gate, asked_at: datetime, salt: bytes, timeout_s: float, started: Callable[[int], None]
) -> GateAnswer:
    line = clean(redact(shlex.join(gate.argv), salt), 1000)
    if not gate.argv:
        return GateAnswer(gate.kind, asked_at, why_unanswered="it has no command")
    end = await run_hook(gate.argv, timeout_s=timeout_s, salt=salt, started=started)
    output = end.output.encode()
    raw = output[-RAW_BYTES:].decode("utf-8", "ignore")
    why = "" if end.word is HookWord.ENDED else end.text
    status = end.status if end.word is HookWord.ENDED else None
    return GateAnswer(gate.kind, asked_at, (line,), raw, len(output) > RAW_BYTES, status, why_unanswered=why)


# -- web servers ---------------------------------------------------------------------------------------


async def _http(gate: Gate, asked_at: datetime, salt: bytes, timeout_s: float) -> GateAnswer:
    from collectors import fetch  # few fleets ask URLs, and httpx takes its time to load

    is_query = gate.kind is GateKind.PROMETHEUS
    try:
        hide = partial(_hidden, secrets=sorted(_secrets_of(gate.url or ""), key=len, reverse=True), salt=salt)
        url = query_url(gate.url or "", gate.query or "") if is_query else gate.url or ""
    except ValueError:  # its words quote the URL
        return GateAnswer(gate.kind, asked_at, why_unanswered="its URL is not one that can be asked")
    asked = (hide(gate.url or ""), hide(gate.query or "")) if is_query else (hide(gate.url or ""),)
    if not gate.url:
        return GateAnswer(gate.kind, asked_at, asked, why_unanswered="it has no URL")
    try:
        got = await fetch.get_text(url, timeout_s=timeout_s, limit_bytes=_READ_BYTES)
    except fetch.PostFailed as error:
        return GateAnswer(gate.kind, asked_at, asked, why_unanswered=clean(hide(str(error)), _WHY))
    text = await asyncio.to_thread(_kept, got.text, hide, is_query)  # it takes 30 ms of a bad one
    data = text.encode("utf-8", "replace")
    raw = data[:RAW_BYTES].decode("utf-8", "ignore")
    is_cut = got.is_cut or len(data) > RAW_BYTES
    return GateAnswer(gate.kind, asked_at, asked, raw, is_cut, got.status, clean(hide(got.leads_to), _PLACE))


def _kept(text: str, hide: Callable[[str], str], is_json: bool) -> str:
    return (_hidden_json(text, hide) if is_json else None) or hide(text)


def query_url(base: str, query: str) -> str:
    """The URL of an instant query; `base` may have user-info, a path and a query of its own.

    Source: prometheus/prometheus:docs/querying/api.md@4f1db75e287a. Raises ValueError.
    """
    parts = urlsplit(base)
    told = "&".join(filter(None, (parts.query, urlencode({"query": query}))))
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/api/v1/query", query=told, fragment=""))


def _secrets_of(url: str) -> Iterator[str]:
    """What a server was told in the URL, and may say again, in each form. Raises ValueError."""
    parts = urlsplit(url)
    login, at, _ = parts.netloc.rpartition("@")
    if at:
        user, _, password = login.partition(":")
        plain = f"{unquote(user)}:{unquote(password)}"
        told = [login, plain, b64encode(plain.encode()).decode(), user, unquote(user)]
        yield from (word for word in (*told, password, unquote(password)) if len(word) >= _SECRET)
    for _, value in parse_qsl(parts.query):
        yield from (word for word in (value, urlencode({"": value})[1:]) if len(word) >= _SECRET_VALUE)


def _hidden(text: str, *, secrets: Sequence[str], salt: bytes) -> str:
    """A URL's own parts go by `redact`; what is said of them elsewhere by what they are."""
    text = redact(text, salt)
    for secret in secrets:
        text = text.replace(secret, "[redacted]")
    return text


def _hidden_json(text: str, hide: Callable[[str], str]) -> str | None:
    """JSON without secrets that still is JSON, in ASCII; None: it is none.

    Texts are gone through one by one: over the whole, a secret would take the syntax around it along.
    """
    try:
        return json.dumps(_hidden_value(json.loads(text), "", hide), separators=(",", ":"))
    except (ValueError, RecursionError):
        return None


def _hidden_value(value: Any, key: str, hide: Callable[[str], str]) -> Any:
    match value:
        case str():
            named = hide(f"{key}={value}") if key else hide(value)
            return named.removeprefix(f"{key}=") if key else named
        case dict():
            return {hide(name): _hidden_value(item, name, hide) for name, item in value.items()}
        case list():
            return [_hidden_value(item, "", hide) for item in value]
    return value


# -- hosts ---------------------------------------------------------------------------------------------


def contract(name: str, was: Baseline | None, facts: HostFacts | None) -> SeenHost:
    """Whether what the host's users were given is given again: runtime, containers, kubelet.

    Compared with the host's own baseline: what it did not have it need not have. Whether the kubelet's node
    is ready only the cluster knows; here it is its unit.
    """
    if was is None or facts is None:
        return SeenHost(name, None, "no baseline" if was is None else "not seen")
    broken = list(_broken(was, facts))
    if broken:
        return SeenHost(name, False, ", ".join(broken))
    unread = list(_unread(was, facts))
    return SeenHost(name, None, ", ".join(unread)) if unread else SeenHost(name, True)


_RUNTIME, _KUBELET = "containerd.service", "kubelet.service"


def _broken(was: Baseline, facts: HostFacts) -> Iterator[str]:
    for name, words in ((_RUNTIME, "the container runtime does not answer"), (_KUBELET, "no kubelet")):
        unit = facts.units.get(name)
        if name in was.active_units and unit is not None and unit.active != "active":
            yield f"{words}: {name} is {unit.active}"
    running = facts.passing.containers
    if running is not None and running < was.containers:
        yield f"{running or 'no'} containers run, {was.containers} did"


def _unread(was: Baseline, facts: HostFacts) -> Iterator[str]:
    for name in (_RUNTIME, _KUBELET):
        if name in was.active_units and name not in facts.units:
            yield f"{name} not read"
    if was.containers and facts.passing.containers is None:
        yield "containers not read"


def hosts_raw(seen: Sequence[SeenHost]) -> tuple[str, bool]:
    """Hosts as a GateAnswer keeps them, and whether some that are not well had no room.

    JSON in ASCII: how many are well, ill, unseen; then the ill and the unseen by name, as many as fit.
    """
    counts = {
        "well": sum(host.well is True for host in seen),
        "ill": sum(host.well is False for host in seen),
        "unseen": sum(host.well is None for host in seen),
    }
    others = sorted((host for host in seen if host.well is not True), key=lambda host: host.well is None)
    entries = [json.dumps([clean(host.name, 255), host.well, clean(host.why, _WHY)]) for host in others]
    room, kept = RAW_BYTES - 200, 0
    while kept < len(entries) and len(entries[kept]) + 2 <= room:
        room -= len(entries[kept]) + 2
        kept += 1
    return f'{json.dumps(counts)[:-1]}, "hosts": [{", ".join(entries[:kept])}]}}', kept < len(entries)
