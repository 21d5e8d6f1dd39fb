"""What `doctor` looks at on the console: the fleet file, database, keys, agent, known_hosts, clock.

Nothing is written, no host is asked. Blocking.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from collectors import store
from collectors.doctor_findings import Finding, Level, grouped, names_of
from collectors.errors import ConfigError, ConnectFailed
from collectors.fleet_file import LoadedFleet, check_database_place
from collectors.host_key_ask import HostKeys
from collectors.known_hosts import HostKey
from collectors.migrations import schema
from collectors.ssh_keys import Keyring, Offer
from collectors.transport import Target

AGENT_TIMEOUT_S = 10.0
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OTHERS_READ = stat.S_IRWXG | stat.S_IRWXO


def check_fleet_file(loaded: LoadedFleet) -> Finding:
    """That it is right is known already; hooks are run from it, so nobody else may write it."""
    fleet, path = loaded.fleet, loaded.path
    words = f"{path.name}: {len(fleet.hosts)} hosts, {len(fleet.groups)} groups"
    if path.stat().st_mode & _OTHERS_WRITE:
        return Finding(Level.WARNING, "fleet file", f"{words}; others may write it", f"chmod go-w {path}")
    return Finding(Level.OK, "fleet file", words)


def check_database(loaded: LoadedFleet) -> list[Finding]:
    """Place, mode, schema, and SQLite's own quick_check."""
    path, subject = loaded.database_path, "database"
    try:
        check_database_place(path)
        if not path.exists():
            return [_no_database(path)]
        conn = store.open_reader(path)
    except ConfigError as error:
        return [Finding(Level.PROBLEM, subject, f"{path}: {error.message}")]
    try:
        told = [str(row[0]) for row in conn.execute("PRAGMA quick_check(1)")]
    except sqlite3.DatabaseError as error:
        told = [str(error)]
    finally:
        conn.close()
    if told != ["ok"]:
        words = f"{path} is damaged: {'; '.join(told)}"
        return [Finding(Level.PROBLEM, subject, words, "move it away, with its -wal file; history is lost")]
    found = [Finding(Level.OK, subject, f"{path.name}: schema {schema()}, sound")]
    if path.stat().st_mode & _OTHERS_READ:
        found.append(Finding(Level.WARNING, subject, "others may read it", f"chmod 600 {path}"))
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        remedy = f"it, and {path.parent} too, must be writable to you"
        found.append(Finding(Level.PROBLEM, subject, "cannot be written", remedy))
    return found


def _no_database(path: Path) -> Finding:
    if os.access(path.parent, os.W_OK):
        return Finding(Level.OK, "database", f"{path.name}: none yet, `fleetctl collect` makes it")
    remedy = f"make {path.parent} and let yourself write there, or set `database`"
    return Finding(Level.PROBLEM, "database", f"{path} cannot be made", remedy)


def check_clock(now: datetime, at_least: datetime) -> Finding:
    """`at_least`: a moment that has passed for certain, as the date of the release feed."""
    if now < at_least:
        words = f"says {now:%Y-%m-%d %H:%M} UTC, which is before {at_least:%Y-%m-%d}"
        return Finding(Level.PROBLEM, "clock", words, "set this machine's clock")
    return Finding(Level.OK, "clock", f"{now:%Y-%m-%d %H:%M} UTC")


def check_keys(targets: Iterable[Target]) -> list[Finding]:
    """Private keys and agents: whether each host has something to log in with, and what is wrong beside."""
    by_login: dict[tuple[tuple[str, ...], tuple[str, ...], str | None], list[Target]] = {}
    for target in targets:
        login = (target.identities, target.certificates, target.agent)
        by_login.setdefault(login, []).append(target)
    offers = asyncio.run(_offers([members[0] for members in by_login.values()]))
    agents = {agent: _agent_keys(agent) for _, _, agent in by_login if agent is not None}
    found = [_agent_finding(agent, held) for agent, held in agents.items()]
    good = 0
    wrong: list[tuple[str, str]] = []
    for members, offer in zip(by_login.values(), offers, strict=True):
        held = agents.get(members[0].agent or "")
        problems = [str(offer)] if isinstance(offer, ConnectFailed) else _problems(offer, held)
        usable = not isinstance(offer, ConnectFailed) and (offer.keys or held)
        good += len(members) if usable else 0
        wrong += [(target.name, problem) for target in members for problem in problems]
        if not usable and not problems:
            wrong += [(target.name, "no key, and the agent holds none") for target in members]
    total = sum(map(len, by_login.values()))
    level = Level.OK if good == total else Level.PROBLEM
    found.append(Finding(level, "keys", f"{good} of {total} hosts have a key to be logged in to with"))
    return found + grouped(wrong, Level.WARNING, "keys", _key_remedy) + _open_keys(by_login)


async def _offers(targets: Sequence[Target]) -> list[Offer | ConnectFailed]:
    keyring, found = Keyring(), list[Offer | ConnectFailed]()
    for target in targets:
        try:
            found.append(await keyring.offer(target))
        except ConnectFailed as error:
            found.append(error)
    return found


def _problems(offer: Offer, held: frozenset[str] | None) -> list[str]:
    """What is wrong with key files; an encrypted one is well if the agent holds it."""
    problems = []
    for identity in offer.identities:
        if not identity.problem:
            continue
        public = _print_of(identity.public) if identity.public else None
        if public is None or public not in (held or ()):
            problems.append(identity.problem)
    return problems


def _print_of(blob: bytes) -> str:
    return HostKey("", blob).fingerprint


def _key_remedy(words: str) -> str:
    if "encrypted" in words or "ssh-add" in words:
        return "start ssh-agent and add it: fleetctl asks for no passphrase"
    return "name in `identities` what there is"


def _open_keys(logins: Iterable[tuple[tuple[str, ...], tuple[str, ...], str | None]]) -> list[Finding]:
    """Private keys that others may read; ssh itself refuses them."""
    paths = dict.fromkeys(path for identities, _, _ in logins for path in identities)
    readable = [path for path in paths if os.path.exists(path) and os.stat(path).st_mode & _OTHERS_READ]
    return [
        Finding(Level.WARNING, "keys", f"{path}: others may read it", f"chmod 600 {path}")
        for path in readable
        if not path.endswith(".pub")
    ]


def _agent_keys(agent: str) -> frozenset[str] | None:
    """Fingerprints of the keys that an agent holds, as ssh-add tells them; None: it does not answer."""
    try:
        done = subprocess.run(
            ["ssh-add", "-l"],
            env={**os.environ, "SSH_AUTH_SOCK": agent},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=AGENT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode not in (0, 1):  # 1: it holds none
        return None
    return frozenset(word for word in done.stdout.split() if word.startswith("SHA256:"))


def _agent_finding(agent: str, held: frozenset[str] | None) -> Finding:
    if held is None:
        remedy = "start ssh-agent, or say agent = false in the fleet file"
        return Finding(Level.WARNING, "agent", f"{agent} does not answer", remedy)
    if not held:
        return Finding(Level.WARNING, "agent", f"{agent} holds no key", "ssh-add, or agent = false")
    return Finding(Level.OK, "agent", f"{len(held)} {'key' if len(held) == 1 else 'keys'} in it")


def check_known_hosts(targets: Mapping[str, Target]) -> list[Finding]:
    """Which hosts, and which of the jump hosts before them, have no key on file."""
    files, without, everyone = HostKeys(), list[str](), dict[str, Target]()
    for target in targets.values():
        hop: Target | None = target
        while hop is not None:
            everyone.setdefault(hop.name, hop)
            hop = hop.jump
    for name, target in everyone.items():
        known = files.on_file(target)
        if not known.keys and not known.authorities:
            without.append(name)
    subject, paths = "known_hosts", dict.fromkeys(path for t in everyone.values() for path in t.known_hosts)
    found = [
        Finding(Level.WARNING, subject, f"{path}: others may write it", f"chmod go-w {path}")
        for path in paths
        if os.path.exists(path) and os.stat(path).st_mode & _OTHERS_WRITE
    ]
    if without:
        words = f"no key on file for {len(without)} of {len(everyone)} hosts: {names_of(without)}"
        remedy = "`fleetctl trust` shows the keys and records them"
        return [*found, Finding(Level.PROBLEM, subject, words, remedy, is_of_hosts=True)]
    return [*found, Finding(Level.OK, subject, f"a key on file for all {len(everyone)} hosts")]
