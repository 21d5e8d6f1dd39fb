"""How `fleetctl trust` goes: ask the hosts, review, have it confirmed, write, say what came of it.

Jump hosts come before the hosts behind them, each round whole: asked, confirmed, written. What is asked of a
person goes to stderr, what came of it to stdout.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from collectors.errors import ConfigError, HostError
from collectors.host_key_ask import HostKeys, ask_keys
from collectors.host_key_file import Entry, write_authority, write_keys
from collectors.host_key_review import (
    Review,
    Verdict,
    Vouched,
    authority_pattern,
    fingerprints_for,
    is_key_list,
    names_on_file,
    parse_fingerprints,
    parse_public_key,
    review,
    twins,
)
from collectors.known_hosts import HostKey
from collectors.ssh_errors import place
from collectors.transport import Target
from console.exit_codes import ExitCode, worst
from console.visible import hosts_words, visible

JUMP_GROUP = "jump hosts"
_MAX_BYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class Consent:
    """How new keys are confirmed: by a person at the terminal, or by --yes and a number known before."""

    expected: int | None
    taken: int = 0

    @property
    def can_ask(self) -> bool:
        return sys.stdin.isatty() and sys.stderr.isatty()

    def typed(self, wanted: str, question: str) -> bool:
        """Whether the person at the terminal typed exactly `wanted`."""
        answer: str = click.prompt(question, default="", show_default=False, err=True)
        return answer.strip() == wanted


@dataclass(slots=True)
class _Result:
    trusted: dict[str, str] = field(default_factory=dict)
    """Host -> in what way."""
    refused: dict[str, str] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)
    unasked: dict[str, str] = field(default_factory=dict)
    """New, and there is no terminal to ask at."""
    unconfirmed: dict[str, str] = field(default_factory=dict)
    """Changed, and there is none."""


def _say(text: str) -> None:
    click.echo(visible(text), err=True)


def trust_authority(targets: Sequence[Target], file: Path, consent: Consent) -> ExitCode:
    """Let an authority speak for the hosts, in the first known_hosts file of each."""
    key = parse_public_key(_read(file), file=str(file))
    by_file: dict[str, list[Target]] = {}
    for target in targets:
        by_file.setdefault(_first_file(target), []).append(target)
    patterns = {path: authority_pattern(members) for path, members in by_file.items()}
    _say(f"authority {key}, from {file}")
    for path, pattern in patterns.items():
        _say(f"  for {visible(pattern, 200)}, in {path}")
    count = len(targets)
    if consent.expected is None and not consent.can_ask:
        return _cannot_ask(count)
    if consent.expected is None:
        is_meant = consent.typed(str(count), f"type {count} to let it speak for {hosts_words(count)}")
    else:
        is_meant = consent.expected == count
    if not is_meant:
        _say(f"not confirmed: {hosts_words(count)} it is; nothing was written")
        return ExitCode.REFUSED
    for path, pattern in patterns.items():
        is_new = write_authority(path, pattern, key)
        click.echo(
            visible(f"{path}: {'added' if is_new else 'has it already'}: @cert-authority {pattern} {key}")
        )
    return ExitCode.OK


def trust_hosts(
    targets: Sequence[Target],
    group_of: Mapping[str, str],
    list_file: Path | None,
    consent: Consent,
    *,
    connections: int,
) -> ExitCode:
    """Review the keys of the hosts, and of the jump hosts before them. `group_of`: host -> its group."""
    trusted_list = _TrustedList(list_file) if list_file is not None else None
    result, rounds = _Result(), list(_rounds(targets))
    for number, members in enumerate(rounds, start=1):
        reviews = _reviewed(members, trusted_list, result, connections)
        is_last = number == len(rounds)
        _settle(reviews, group_of, list_file, consent, result, is_last=is_last)
    return _told(result)


def _rounds(targets: Iterable[Target]) -> Iterable[list[Target]]:
    """Hosts by the number of jumps before them, jump hosts included, each once."""
    by_depth: dict[int, dict[tuple[str, ...], Target]] = {}
    for target in targets:
        chain = [target]
        while chain[-1].jump is not None:
            chain.append(chain[-1].jump)
        for depth, hop in enumerate(reversed(chain)):
            by_depth.setdefault(depth, {}).setdefault((hop.name, *hop.known_hosts), hop)
    return [list(by_depth[depth].values()) for depth in sorted(by_depth)]


class _TrustedList:
    """What --from names: known_hosts lines, or fingerprints."""

    def __init__(self, file: Path) -> None:
        text = _read(file)
        self._path = str(file.absolute())
        self._keys = HostKeys() if is_key_list(text) else None
        self._prints = {} if self._keys is not None else parse_fingerprints(text, file=str(file))

    def says(self, target: Target) -> Vouched:
        if self._keys is None:
            return fingerprints_for(target, self._prints)
        found = self._keys.on_file(target, (self._path,))
        prints = frozenset(key.fingerprint for key in found.keys)
        return Vouched(prints, frozenset(key.fingerprint for key in found.revoked))

    def kinds(self, target: Target) -> tuple[str, ...]:
        """Types of key that the list has; fingerprints do not tell."""
        if self._keys is None:
            return ()
        return tuple(key.kind for key in self._keys.on_file(target, (self._path,)).keys)


def _reviewed(
    members: Sequence[Target], trusted_list: _TrustedList | None, result: _Result, connections: int
) -> list[Review]:
    """One round asked and judged; the silent ones go to `result`."""
    files = HostKeys()
    on_file = {target.name: files.on_file(target) for target in members}
    kinds = {
        target.name: (trusted_list.kinds(target) if trusted_list is not None else ())
        or tuple(key.kind for key in on_file[target.name].keys)
        for target in members
    }
    certified = frozenset(name for name, found in on_file.items() if found.authorities)

    def ask(some: Sequence[Target], with_authority: frozenset[str]) -> dict[str, HostKey | HostError]:
        return asyncio.run(ask_keys(some, kinds, with_authority, connections=connections))

    answers = ask(members, certified)
    # An authority that nobody knows says nothing about the host's own key, so that one is asked for too.
    again = [
        target
        for target in members
        if target.name in certified and answers[target.name] not in on_file[target.name].authorities
    ]
    if again:
        answers |= ask(again, frozenset())
    reviews = []
    for target in members:
        answer = answers[target.name]
        if isinstance(answer, HostError):
            result.silent[target.name] = answer.message
            continue
        says = trusted_list.says(target) if trusted_list is not None else None
        reviews.append(review(target, answer, on_file[target.name], says))
    return reviews


def _settle(
    reviews: Sequence[Review],
    group_of: Mapping[str, str],
    list_file: Path | None,
    consent: Consent,
    result: _Result,
    *,
    is_last: bool,
) -> None:
    """Everything of one round is decided and written."""
    new: dict[str, list[Review]] = {}
    way = f"by {list_file}"
    _record([item for item in reviews if item.verdict is Verdict.VOUCHED and not item.old], way, result)
    for item in reviews:
        name = item.target.name
        match item.verdict:
            case Verdict.KNOWN:
                result.trusted[name] = "before"
            case Verdict.VOUCHED if item.old:
                _record([item], f"{way}, in place of {item.old[0].fingerprint}", result)
            case Verdict.NEW:
                new.setdefault(group_of.get(name, JUMP_GROUP), []).append(item)
            case Verdict.CHANGED:
                _confirm_changed(item, consent, result)
            case Verdict.REVOKED:
                result.refused[name] = f"shows a revoked key: {item.offered}"
            case Verdict.UNLISTED:
                result.refused[name] = f"is not in {list_file}; it shows {item.offered}"
            case Verdict.MISMATCH:
                wanted = " or ".join(item.wanted)
                result.refused[name] = f"shows {item.offered}, but {list_file} has {wanted}"
    if new:
        _confirm_new(new, consent, result, is_last=is_last)


def _confirm_new(
    new: Mapping[str, list[Review]], consent: Consent, result: _Result, *, is_last: bool
) -> None:
    everyone = [item for members in new.values() for item in members]
    same = twins(everyone)
    if consent.expected is not None:
        total = consent.taken + len(everyone)
        is_meant = total == consent.expected if is_last else total <= consent.expected
        if is_meant:
            consent.taken = total
            _record(everyone, "new, by --yes", result)
            return
        for item in everyone:
            words = f"is new: {item.offered}; new hosts are {total}, not {consent.expected}"
            result.refused[item.target.name] = words
        return
    if not consent.can_ask:
        result.unasked |= {item.target.name: f"is new: {item.offered}" for item in everyone}
        return
    for group, members in new.items():
        _say(f"new keys{f', {group}' if group else ''}: compare them with what the hosts' own consoles show")
        for item in members:
            others = (
                f", the same as {', '.join(same[item.target.name][:3])}" if item.target.name in same else ""
            )
            _say(f"  {item.target.name}  {place(item.target)}  {item.offered}{others}")
        count = len(members)
        if consent.typed(str(count), f"type {count} to trust {hosts_words(count)}"):
            _record(members, "new", result)
        else:
            result.refused |= {item.target.name: f"not confirmed: {item.offered}" for item in members}


def _confirm_changed(item: Review, consent: Consent, result: _Result) -> None:
    name, was = item.target.name, ", ".join(str(key) for key in item.old)
    words = f"host key changed: was {was}, is {item.offered}"
    if consent.expected is not None or not consent.can_ask:
        remedy = "confirm it at a terminal, or with --from a list that you trust"
        outcome = result.unconfirmed if consent.expected is None else result.refused
        outcome[name] = f"{words}; {remedy}"
        return
    _say(f"host key changed: {name}, at {place(item.target)}")
    _say(f"  was {was}")
    _say(f"  is  {item.offered}")
    _say("  a host that was installed anew has a new key; so has a stranger in its place")
    if consent.typed(name, f"type {name} to trust the new key in place of the old"):
        _record([item], "changed", result)
    else:
        result.refused[name] = f"not confirmed: {words}"


def _record(items: Sequence[Review], way: str, result: _Result) -> None:
    """Write keys and note the outcome; a file that cannot be changed refuses its hosts."""
    by_file: dict[str, list[Review]] = {}
    for item in items:
        by_file.setdefault(_first_file(item.target), []).append(item)
    for path, members in by_file.items():
        try:
            write_keys(path, [Entry(names_on_file(one.target), one.offered, one.old) for one in members])
        except ConfigError as error:
            result.refused |= {one.target.name: f"not recorded: {error}" for one in members}
            continue
        for one in members:
            result.trusted[one.target.name] = f"{way}, {one.offered}"
            _warn_of_old(one)


def _warn_of_old(item: Review) -> None:
    """Old keys in files that are not ours to write still open the door."""
    left = [key for key in HostKeys().on_file(item.target).keys if key in item.old]
    for key in left:
        files = " and ".join(item.target.known_hosts[1:])
        _say(f"{item.target.name}: the old key {key.fingerprint} is still trusted: take it out of {files}")


def _first_file(target: Target) -> str:
    if not target.known_hosts:
        raise ConfigError("known_hosts", target.name, "no known_hosts file is named for it")
    return target.known_hosts[0]


def _told(result: _Result) -> ExitCode:
    """Outcomes on stdout, what is missing on stderr."""
    for name, way in result.trusted.items():
        if way != "before":
            click.echo(visible(f"{name}: trusted ({way})"))
    missing = result.refused | result.unconfirmed | result.unasked | result.silent
    for name, words in missing.items():
        _say(f"{name}: {words}")
    total = len(result.trusted) + len(missing)
    new = sum(way != "before" for way in result.trusted.values())
    click.echo(f"{len(result.trusted)} of {hosts_words(total)} trusted, {new} of them now")
    codes = [ExitCode.NO_ANSWER] * bool(result.silent) + [ExitCode.REFUSED] * bool(result.refused)
    codes += [ExitCode.USAGE] * bool(result.unconfirmed)
    if result.unasked:
        codes.append(_cannot_ask(len(result.unasked)))
    return worst(codes)


def _cannot_ask(count: int) -> ExitCode:
    _say(f"no terminal to confirm {hosts_words(count)} at: use --from FILE, or --yes --expect-hosts {count}")
    return ExitCode.USAGE


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise ConfigError(str(file), "", f"cannot be read: {error.strerror}") from error
