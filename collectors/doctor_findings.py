"""What `doctor` finds, and what looks at hosts come to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from collectors.errors import Reach
from collectors.observation import Answer, Observation
from collectors.sources.writing import fold

SHOWN = 8


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer. What is of hosts does not mean that the configuration is wrong."""

    level: Level
    subject: str
    words: str
    remedy: str = ""
    """A command or a sentence; empty where nothing is to be done."""
    is_of_hosts: bool = False


_WORDS = {Reach.NOT_FLATCAR: "not Flatcar", Reach.AUTH_FAILED: "not let in"}
_REMEDIES = {
    Reach.UNREACHABLE: "is the host up, are address, port and jump host right?",
    Reach.TIMEOUT: "is the host up, does a firewall drop its packets? `connect_timeout`, `probe_timeout`",
    Reach.AUTH_FAILED: "is the login's public key on the host? `user`, `identities`, `agent`",
    Reach.HOST_KEY_UNKNOWN: "`fleetctl trust` shows the keys and records them",
    Reach.HOST_KEY_CHANGED: "find out why before `fleetctl trust`: installed anew, or another machine?",
    Reach.REBOOTING: "ask again when it is back",
    Reach.PROBE_INCOMPLETE: "`fleetctl ssh HOST` shows what a login meets there",
    Reach.NOT_FLATCAR: "take it out of the fleet file",
}


def names_of(hosts: Iterable[str]) -> str:
    """Folded into node sets, the first few of them."""
    sets = fold(sorted(hosts))
    more = f" and {len(sets) - SHOWN} more" if len(sets) > SHOWN else ""
    return ", ".join(sets[:SHOWN]) + more


def look_findings(seen: Sequence[Observation]) -> list[Finding]:
    """Reachability, login, root, clock and system of the hosts that were looked at."""
    answers = [item for item in seen if isinstance(item, Answer)]
    well = [item for item in answers if item.reach is Reach.OK]
    whole = [item for item in answers if item.facts.complete]
    level = Level.OK if len(whole) == len(seen) else Level.WARNING
    found = [Finding(level, "hosts", f"{len(whole)} of {len(seen)} answered the probe to its end")]
    for reach in Reach:
        silent = [item for item in seen if item.reach is reach and reach is not Reach.OK]
        if silent:
            failed = next((item for item in silent if not isinstance(item, Answer)), None)
            words = (
                f"{_WORDS.get(reach, str(reach).replace('_', ' '))}: {names_of(item.host for item in silent)}"
            )
            if failed is not None:
                words += f" ({f'{failed.host}: ' * (len(silent) > 1)}{failed.detail})"
            is_warning = reach in (Reach.NOT_FLATCAR, Reach.REBOOTING)
            level = Level.WARNING if is_warning else Level.PROBLEM
            found.append(Finding(level, "hosts", words, _REMEDIES[reach], is_of_hosts=True))
    if well:
        found += [_sudo(well), _clocks(well)]
    return found


def _sudo(answers: Sequence[Answer]) -> Finding:
    without = [item.host for item in answers if not item.facts.privileged]
    if not without:
        return Finding(Level.OK, "sudo", f"{len(answers)} of {len(answers)} hosts let the probe read slots")
    words = f"no sudo for the probe, so no slots: {names_of(without)}"
    return Finding(
        Level.WARNING, "sudo", words, "`fleetctl doctor --sudoers` prints the rule", is_of_hosts=True
    )


def _clocks(answers: Sequence[Answer]) -> Finding:
    wrong = [item.host for item in answers if item.facts.passing.time_synced is False]
    if wrong:
        words = f"not set by the network: {names_of(wrong)}"
        remedy = "`systemctl status systemd-timesyncd` there; or another time service is used"
        return Finding(Level.WARNING, "hosts' clocks", words, remedy, is_of_hosts=True)
    known = sum(item.facts.passing.time_synced is True for item in answers)
    return Finding(Level.OK, "hosts' clocks", f"{known} of {len(answers)} set by systemd-timesyncd")


def grouped(
    items: Iterable[tuple[str, str]], level: Level, subject: str, remedy: Callable[[str], str]
) -> list[Finding]:
    """One finding for each distinct text, over the hosts that share it; `items`: host and text."""
    hosts: dict[str, list[str]] = {}
    for host, words in items:
        hosts.setdefault(words, []).append(host)
    return [
        Finding(level, subject, f"{words} (for {names_of(names)})", remedy(words))
        for words, names in hosts.items()
    ]
