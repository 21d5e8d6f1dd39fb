"""Everything that can be asked of the dashboard: one registry. Pure.

Bindings, footer, help, palette and command line are all made from `ACTIONS`, so that nothing can be forgotten
in one of them. The method that does it is `action_NAME` of the place where it is at home.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Home(StrEnum):
    """Where an action works."""

    APP = "everywhere"
    FLEET = "fleet"
    HOST = "host"
    HOSTS = "hosts, once unlocked"
    """In the fleet, on its marked hosts or the one under the cursor, and on the page of a host."""
    HISTORY = "history"
    ORDERS = "orders"
    ROLLOUTS = "rollouts"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to ask for."""

    name: str
    """As `:` and the palette call it; blanks are `_` in the method's name."""
    keys: str
    """Textual's names, separated by commas; "" where only its name leads to it."""
    label: str
    """Beside its key in the footer: a word or two."""
    help: str
    """What it does, one sentence without a full stop, for help and palette."""
    home: Home = Home.APP
    shown: str = ""
    """The key as people write it, where that is not Textual's name for it."""
    footer: int = 0
    """Place in the footer, smaller is earlier and stays longer when it is narrow; 0 is not in it."""
    argument: str = ""
    """What follows the name on the command line, as help shows it: `THEME`, `[FIELD]`."""
    verb: str | None = None
    """Of `fleetctl`, where it changes hosts."""
    dangerous: bool = False
    """Asked for only while the dashboard is unlocked."""
    short: str = ""
    """Its label in a narrow head, of a mode."""

    @property
    def method(self) -> str:
        return self.name.replace(" ", "_").replace("-", "_")

    @property
    def key_words(self) -> str:
        """The key as footer and help show it."""
        return self.shown or self.keys.partition(",")[0]


def _by_name(name: str, help: str, argument: str = "") -> Action:
    """A verb without a key."""
    return Action(name, "", name, help, Home.HOSTS, argument=argument, verb=name, dangerous=True)


def _answer(name: str, keys: str, label: str, help: str, word: str, footer: int, shown: str = "") -> Action:
    """What a person tells a rollout."""
    verb = f"rollout {word}"
    return Action(name, keys, label, help, Home.ROLLOUTS, shown, footer, verb=verb, dangerous=True)


ACTIONS = (
    Action("fleet", "1", "fleet", "the fleet: every host in a table"),
    Action(
        "rollouts",
        "2",
        "rollouts",
        "releases on their way through the fleet, and what they wait for",
        short="roll",
    ),
    Action(
        "history",
        "6",
        "history",
        "versions over time, what changed, and the way back to a moment",
        short="hist",
    ),
    Action("orders", "7", "orders", "what was ordered, and what becomes of it on each host", short="ord"),
    Action("command", "colon", "command", "a command by name", shown=":", footer=80),
    Action("palette", "ctrl+p", "palette", "search everything that can be done", shown="ctrl+p"),
    Action(
        "help",
        "question_mark",
        "help",
        "keys of this place, and every state in plain words",
        shown="?",
        footer=90,
    ),
    Action(
        "back", "escape", "back", "one step back: out of a dialog, a host, a filter, the past", shown="esc"
    ),
    Action(
        "unlock",
        "u",
        "unlock to change",
        "let hosts be changed from here, or no more; it locks itself after 5 min without a key",
    ),
    Action("freeze", "p", "freeze", "keep the picture as it is until asked again"),
    Action("ask", "R", "ask now", "ask the marked hosts again, or all, without waiting for the next sweep"),
    Action("theme", "", "theme", "other colours", argument="[THEME]"),
    Action("at", "", "at", "show the fleet as it was at a moment; without one, as it is", argument="[TIME]"),
    Action(
        "save", "", "save", "write the view to a file: .json, .csv, or .svg for the screen", argument="FILE"
    ),
    Action(
        "quit", "ctrl+q,ctrl+c", "quit", "leave; nothing on any host depends on this screen", shown="ctrl+q"
    ),
    Action(
        "stage",
        "s",
        "stage",
        "write a release to the other slot: the one named, or what the server offers",
        Home.HOSTS,
        footer=12,
        argument="[VERSION]",
        verb="stage",
        dangerous=True,
    ),
    Action(
        "activate",
        "a",
        "activate",
        "reboot into the staged slot, one host after another",
        Home.HOSTS,
        footer=14,
        argument="[OPTIONS]",
        verb="activate",
        dangerous=True,
    ),
    Action(
        "roll back",
        "b",
        "roll back",
        "back to the other slot's older release; updates go off",
        Home.HOSTS,
        footer=16,
        argument="[OPTIONS]",
        verb="roll-back",
        dangerous=True,
    ),
    Action(
        "channel",
        "c",
        "channel",
        "let them follow another channel",
        Home.HOSTS,
        footer=18,
        argument="CHANNEL",
        verb="channel",
        dangerous=True,
    ),
    _by_name("reboot", "reboot into the slot that runs, one host after another", "[OPTIONS]"),
    _by_name("cancel", "unstage: the running slot boots next again", "[OPTIONS]"),
    _by_name("updates", "switch their own updates on, off, or managed", "MODE"),
    _by_name("repair", "put right what interrupted programs leave behind", "[OPTIONS]"),
    _by_name("hold", "not to be rebooted, and why; sends nothing", "REASON"),
    _by_name("unhold", "take a hold back; sends nothing"),
    _by_name("acknowledge", "take note of a reversion, a failure, an unknown outcome; sends nothing"),
    _by_name("pin", "the version wanted of them and why, or none; sends nothing", "VERSION"),
    Action(
        "mark",
        "space",
        "mark",
        "mark the host under the cursor, or take the mark away",
        Home.FLEET,
        footer=10,
    ),
    Action("mark range", "v", "range", "mark from here to where the cursor goes; again to end", Home.FLEET),
    Action("mark all", "M", "mark all", "mark every host that the filter lets through", Home.FLEET),
    Action("mark none", "N", "no marks", "take all marks away, the hidden ones too", Home.FLEET),
    Action(
        "filter",
        "slash",
        "filter",
        "show only some hosts: web, @group, state:staged, behind>=2",
        Home.FLEET,
        shown="/",
        footer=60,
        argument="[SELECTION]",
    ),
    Action(
        "attention",
        "exclamation_mark",
        "attention",
        "only what is neither current nor held",
        Home.FLEET,
        shown="!",
        footer=40,
    ),
    Action("reboots", "w", "reboots", "only hosts that will reboot by themselves", Home.FLEET, footer=50),
    Action("fold", "f", "fold", "equal hosts as one row, the odd ones first", Home.FLEET, footer=30),
    Action(
        "group",
        "g",
        "group",
        "rows under headings: group, version, state, channel, a label",
        Home.FLEET,
        argument="[FIELD]",
        footer=70,
    ),
    Action("sort", "o", "sort", "by another column; without one, the next", Home.FLEET, argument="[COLUMN]"),
    Action("settle", "r", "settle", "sort again, if rows have come to stand out of order", Home.FLEET),
    Action(
        "open", "enter", "open", "everything known of the host, or the hosts of a fold", Home.FLEET, footer=20
    ),
    Action("panel", "i", "panel", "the side panel of the host under the cursor, on or off", Home.FLEET),
    Action(
        "copy",
        "y",
        "copy",
        "the marked hosts' names, or the one under the cursor, to the clipboard",
        Home.FLEET,
    ),
    Action("timeline", "t", "timeline", "what changed on it, newest first", Home.HOST, footer=20),
    Action("log", "l", "log", "ask it for its updater's log", Home.HOST, footer=30),
    Action(
        "raw", "x", "raw", "ask it again and show what it answered, section by section", Home.HOST, footer=40
    ),
    Action(
        "facts", "d", "facts", "its page: slots, updater, reboots, extensions, health", Home.HOST, footer=10
    ),
    Action("ssh", "S", "ssh", "a terminal on it, through the system's ssh", Home.HOST, footer=50),
    Action("copy host", "y", "copy", "what is shown of it to the clipboard", Home.HOST),
    Action("earlier", "left", "earlier", "one step back in time", Home.HISTORY, shown="←", footer=10),
    Action("later", "right", "later", "one step forward in time", Home.HISTORY, shown="→", footer=20),
    Action(
        "change before",
        "shift+left",
        "change before",
        "back to where something changed",
        Home.HISTORY,
        shown="shift+←",
    ),
    Action(
        "change after",
        "shift+right",
        "change after",
        "forward to where something changed",
        Home.HISTORY,
        shown="shift+→",
    ),
    Action("go there", "enter", "go there", "the fleet as it was at the cursor", Home.HISTORY, footer=30),
    Action(
        "span",
        "z",
        "span",
        "a day, a week, a month, a quarter, all",
        Home.HISTORY,
        footer=40,
        argument="[SPAN]",
    ),
    Action("other side", "tab", "hosts", "from the orders to the hosts, and back", Home.ORDERS, footer=10),
    Action("order host", "enter", "open", "the order's hosts, then the host", Home.ORDERS, footer=20),
    Action(
        "inverse",
        "i",
        "way back",
        "ask for the order that leads back; it is planned and asked for anew",
        Home.ORDERS,
        footer=30,
    ),
    Action("copy order", "y", "copy", "what is shown of the order to the clipboard", Home.ORDERS, footer=40),
    Action(
        "next part",
        "tab",
        "part",
        "from the hosts to the events, to the list of rollouts, and back",
        Home.ROLLOUTS,
        footer=10,
    ),
    Action(
        "open tile",
        "enter",
        "open",
        "the rollout, or the host under the cursor",
        Home.ROLLOUTS,
        footer=20,
    ),
    Action(
        "events",
        "e",
        "events",
        "all that happened in it, newest first; again to end",
        Home.ROLLOUTS,
        footer=30,
    ),
    _answer("retry failed", "t", "retry", "after a halt: try the failed hosts again", "retry-failed", 40),
    _answer(
        "accept failures",
        "c",
        "accept",
        "after a halt: go on without the failed hosts",
        "accept-failures",
        41,
    ),
    _answer("go back", "b", "roll back", "every host that got it goes back to what it ran", "roll-back", 42),
    _answer("approve", "a", "approve", "approve the draft and have it carried out", "start", 43),
    _answer(
        "pause", "P", "pause", "dispatch nothing more; what was sent is followed to its end", "pause", 44
    ),
    _answer("resume", "r", "resume", "go on after a pause", "resume", 45),
    _answer("promote", "plus", "promote", "cut its soak short, or answer its gate", "promote", 46, "+"),
    _answer("abort", "X", "abort", "end it; what was taken from hosts is given back", "abort", 47),
    _answer(
        "let go", "l", "let go", "the failed host under the cursor holds no place any more", "release", 48
    ),
)
"""In the order in which help lists them."""

MODES = ("fleet", "rollouts", "history", "orders")
"""Actions that change the mode; the head of the screen names them with their keys."""


def actions_of(*homes: Home) -> tuple[Action, ...]:
    return tuple(action for action in ACTIONS if action.home in homes)


def places_of(home: Home) -> tuple[Home, ...]:
    """Where the actions are at home that can be asked for in a place: its own first, then those of all."""
    hosts = (Home.HOSTS,) if home in (Home.FLEET, Home.HOST) else ()
    return (*((home,) if home is not Home.APP else ()), *hosts, Home.APP)


def named(name: str) -> Action | None:
    """The action that is called so."""
    return next((action for action in ACTIONS if action.name == name), None)


def key_pairs(home: Home) -> list[tuple[str, str, str]]:
    """Key, `action`, label: what a place binds."""
    return [(action.keys, action.method, action.label) for action in actions_of(home) if action.keys]
