"""Orders as the dashboard's board of them shows: what runs, where each host stands, the way back. Pure.

What needs a person comes first: open orders before ended ones, hosts that went wrong before those that went
well. A way back is an order of its own, planned and asked for anew; nothing that was done is taken back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from actions.orders import Phase, Refusal, Verb
from console.visible import count_words, hosts_words

NOTHING_OFFERED = "nothing-offered"
REVERTED = "reverted"
_PHASES = (
    Phase.FAILED,
    Phase.UNKNOWN,
    Phase.REFUSED,
    Phase.NOT_SENT,
    Phase.SENT,
    Phase.INTENT,
    Phase.PLANNED,
    Phase.DONE,
    Phase.ALREADY,
    Phase.SKIPPED,
)
_RANK = {phase: rank for rank, phase in enumerate(_PHASES)}
_FOLDED = frozenset((Phase.REFUSED, Phase.NOT_SENT, Phase.SKIPPED, Phase.ALREADY))
"""Nothing was done on these hosts: equal reasons are told once."""
AT_WORK = (Phase.INTENT, Phase.SENT)
ANEW = "planned and asked for anew"


@dataclass(frozen=True, slots=True)
class OrderHost:
    """One host of an order, or of what followed from it."""

    host: str
    phase: Phase
    verb: Verb
    since: datetime
    code: str | None = None
    text: str = ""
    refusals: tuple[Refusal, ...] = ()
    said: tuple[str, ...] = ()
    """The last lines that the host itself wrote in the boot that failed, then its updater's."""
    before: str | None = None
    """What the way back leads to: the group it followed, `self` or `disabled`, the version that was staged;
    None: not known."""
    until: datetime | None = None
    """Its evidence is awaited at least until then."""
    what: str = ""
    """Words of the order that followed; "" for the order's own hosts."""


@dataclass(frozen=True, slots=True)
class Inverse:
    """The order that leads back, or, without a verb, why there is none."""

    verb: Verb | None
    arguments: tuple[str, ...]
    """Words of the command line between verb and hosts."""
    hosts: tuple[str, ...]
    words: str

    @property
    def argv(self) -> tuple[str, ...]:
        """Words of the command line behind `fleetctl`; none where there is no way back."""
        return (self.verb, *self.arguments, *self.hosts) if self.verb else ()


@dataclass(frozen=True, slots=True)
class OrderCard:
    """One order."""

    id: str
    asked: str
    """In words; forces and their reasons are in it."""
    verb: Verb
    who: str
    at: datetime
    counts: Mapping[Phase, int]
    """Hosts by phase, zeros left out."""
    ended_at: datetime | None = None
    is_carried_out: bool = False
    """A living process has it. Open and not carried out: it was left."""
    hosts: tuple[OrderHost, ...] = ()
    """What needs a person first; empty where `is_whole` is not set."""
    is_whole: bool = True
    """Its hosts were read, not only counted."""
    reverted: int = 0
    at_once: int = 1
    stops: bool = False
    mode: str | None = None
    """Of `updates`: on, off, managed."""
    stopped: str | None = None
    """Why the rest was left out."""
    consequences: tuple[OrderHost, ...] = ()

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def is_open(self) -> bool:
        return self.ended_at is None

    @property
    def is_left(self) -> bool:
        return self.is_open and not self.is_carried_out

    @property
    def done(self) -> int:
        return self.counts.get(Phase.DONE, 0)

    @property
    def settled(self) -> int:
        """Hosts that are as ordered."""
        return self.done + self.counts.get(Phase.ALREADY, 0)


@dataclass(frozen=True, slots=True)
class OrderBoard:
    """All that is shown."""

    orders: tuple[OrderCard, ...]
    now: datetime
    """Aware; its time zone is the one in which times are shown."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list of hosts and what hangs on it: a host, or hosts refused for the same reason."""

    hosts: tuple[OrderHost, ...]
    key: str = field(default="")
    """The first host's name, and the words of the order that followed."""

    @property
    def first(self) -> OrderHost:
        return self.hosts[0]


def board_order(cards: Iterable[OrderCard]) -> tuple[OrderCard, ...]:
    """Open ones first, the newest first among each."""
    newest = sorted(cards, key=lambda card: (card.at, card.id), reverse=True)
    return tuple(sorted(newest, key=lambda card: not card.is_open))


def host_order(hosts: Iterable[OrderHost]) -> tuple[OrderHost, ...]:
    """What went wrong first, then what is at work, what waits, what is done; by name within each."""
    return tuple(sorted(hosts, key=lambda one: (_RANK[one.phase], one.code != REVERTED, one.host)))


def entries(card: OrderCard) -> tuple[Entry, ...]:
    """The hosts in this order, alike ones as one where nothing was done; what followed behind its cause."""
    followed: dict[str, list[OrderHost]] = {}
    for one in card.consequences:
        followed.setdefault(one.host, []).append(one)
    found: list[list[OrderHost]] = []
    places: dict[tuple[object, ...], int] = {}
    for one in card.hosts:
        if one.phase in _FOLDED:
            alike = (one.phase, one.code, one.text, one.refusals)
            place = places.setdefault(alike, len(found))
            if place < len(found):
                found[place].append(one)
                continue
        found.append([one])
        found += [[after] for after in followed.pop(one.host, ())]
    return tuple(Entry(tuple(hosts), f"{hosts[0].host} {hosts[0].what}") for hosts in found)


def counted(hosts: Iterable[OrderHost]) -> dict[Phase, int]:
    counts = Counter(one.phase for one in hosts)
    return {phase: counts[phase] for phase in _PHASES if counts[phase]}


# In words


def progress(card: OrderCard) -> tuple[tuple[Phase, str], ...]:
    """What became of how many, by what it says of them; what went wrong stands before what is under way."""
    if card.total and max(card.counts.values()) == card.total and not card.reverted:
        (phase,) = card.counts
        every = "" if card.total == 1 else f"all {count_words(card.total)} "
        return ((phase, f"{every}{_word(phase, card.total)}"),)
    counts = dict(card.counts)
    parts = []
    if counts.pop(Phase.DONE, 0) or card.is_open:
        parts.append((Phase.DONE, f"{count_words(card.done)} of {count_words(card.total)} done"))
    if card.reverted:
        parts.append((Phase.FAILED, f"{count_words(card.reverted)} reverted"))
        counts[Phase.FAILED] = counts.get(Phase.FAILED, 0) - card.reverted
    counts[Phase.SENT] = sum(counts.pop(phase, 0) for phase in AT_WORK)
    parts += [
        (phase, f"{count_words(counts[phase])} {_word(phase, counts[phase])}")
        for phase in _PHASES
        if counts.get(phase, 0) > 0
    ]
    return tuple(parts)


def progress_words(card: OrderCard) -> str:
    """`9 of 14 done, 1 failed, 2 on their way`."""
    return ", ".join(words for _, words in progress(card))


def _word(phase: Phase, number: int) -> str:
    match phase:
        case Phase.INTENT | Phase.SENT:
            return "on its way" if number == 1 else "on their way"
        case Phase.PLANNED:
            return "waits" if number == 1 else "wait"
        case Phase.ALREADY:
            return "so already"
    return str(phase)


def title(card: OrderCard) -> str:
    """`activate 4593.2.5 on 14 hosts`."""
    name = card.hosts[0].host if card.total == 1 and card.hosts else hosts_words(card.total)
    return f"{card.asked} on {name}"


def sentence(board: OrderBoard) -> tuple[str, str]:
    """What a tired person must know, and whether anything is needed; the first part is the one to read."""
    if not board.orders:
        return "No order was given yet.", ""
    under_way = [card for card in board.orders if card.is_open]
    left = [card for card in under_way if card.is_left]
    if left:
        ran = left[0]
        return f"Nobody carries out {title(ran)}.", f"`fleetctl run {ran.id}` goes on with it."
    if not under_way:
        return "Nothing is under way.", _last_words(board.orders[0])
    return _running_words(under_way), _trouble_words(under_way)


def _running_words(cards: Sequence[OrderCard]) -> str:
    if len(cards) > 1:
        hosts = sum(card.total for card in cards)
        done = sum(card.settled for card in cards)
        return f"{len(cards)} orders are under way on {hosts_words(hosts)}, {count_words(done)} done."
    (card,) = cards
    return f"1 order is under way: {title(card)}, {count_words(card.settled)} done."


def _trouble_words(cards: Sequence[OrderCard]) -> str:
    for card in cards:
        if card.stopped:
            return f"{_capital(card.stopped)}."
        for one in card.hosts:
            if one.phase in (Phase.FAILED, Phase.UNKNOWN):
                what = "ended, nobody knows how" if one.phase is Phase.UNKNOWN else str(one.phase)
                what = REVERTED if one.code == REVERTED else what
                return f"{one.host} {what}{', nothing further is begun' if card.stops else ''}."
    return "Nothing needs you now."


def _last_words(card: OrderCard) -> str:
    what = f"The last one, {title(card)}"
    if card.stopped:
        return f"{what}, {card.stopped}."
    return f"{what}: {progress_words(card)}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def force_words(refusals: Sequence[Refusal]) -> str:
    """How what was refused can be had all the same; "" where it is not a refusal of policy."""
    if not refusals:
        return ""
    firm = [item for item in refusals if item.force is None]
    if firm:
        why = ", ".join(dict.fromkeys(item.code for item in firm))
        return (
            "cannot be forced" if len(firm) == len(refusals) else f"cannot be forced while this holds: {why}"
        )
    forces = dict.fromkeys(str(item.force) for item in refusals)
    options = " ".join(f"--force {name}" for name in forces)
    return f"can be forced: {options} --reason …"


def reason_words(refusal: Refusal) -> str:
    """A refusal without its force, which `force_words` tells."""
    return refusal.text.removesuffix(f", or --force {refusal.force}") if refusal.force else refusal.text


# The way back


def inverse(card: OrderCard) -> Inverse | None:
    """The order that leads back from what is done; None where nothing is done yet, or not all was read."""
    done = [one for one in card.hosts if one.phase is Phase.DONE and one.code != NOTHING_OFFERED]
    if not done:
        return None
    match card.verb:
        case Verb.STAGE:
            return _back(Verb.CANCEL, (), done)
        case Verb.ACTIVATE:
            return _back(Verb.ROLL_BACK, (), done)
        case Verb.CHANNEL:
            return _by_before(Verb.CHANNEL, done, "which channel they followed before is not known")
        case Verb.CANCEL:
            return _by_before(Verb.STAGE, done, "which version was staged is not known")
        case Verb.UPDATES:
            return _updates_back(card, done)
        case Verb.ROLL_BACK:
            why = "the version it left is quarantined here: quarantine release, then stage it"
        case Verb.REBOOT:
            why = "a reboot is over once it is done"
        case _:
            why = "what it repaired was no state to go back to"
    return _no_way(why)


def _back(verb: Verb, arguments: tuple[str, ...], hosts: Sequence[OrderHost], rest: str = "") -> Inverse:
    names = tuple(sorted(one.host for one in hosts))
    what = " ".join((verb, *arguments))
    words = f"way back: {what} on {hosts_words(len(names))}{rest}, {ANEW}"
    return Inverse(verb, arguments, names, words)


def _no_way(why: str) -> Inverse:
    return Inverse(None, (), (), f"no way back: {why}")


def _by_before(verb: Verb, done: Sequence[OrderHost], unknown: str) -> Inverse:
    """To where most of them were; the others are told."""
    befores = Counter(one.before for one in done if one.before is not None)
    if not befores:
        return _no_way(unknown)
    target = min(befores, key=lambda name: (-befores[name], name))
    others = len(done) - befores[target]
    rest = f" ({count_words(others)} others came from elsewhere)" if others else ""
    return _back(verb, (target,), [one for one in done if one.before == target], rest)


def _updates_back(card: OrderCard, done: Sequence[OrderHost]) -> Inverse:
    wanted, mode = ("disabled", "off") if card.mode == "on" else ("self", "on")
    hosts = [one for one in done if one.before == wanted]
    if not hosts:
        return _no_way("how their updates stood before is not known, or it was a server of their own")
    others = len(done) - len(hosts)
    rest = f" ({count_words(others)} others stood otherwise)" if others else ""
    return _back(Verb.UPDATES, (mode,), hosts, rest)
