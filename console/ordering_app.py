"""Changing hosts from the dashboard: the lock, the verbs, and the way of an order from its key to its end.

Nothing here sends anything: `console.requests` has our own commands make plans and give orders. One worker
makes a plan, and ends with the dialog; one gives an order, and nothing ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events, on, work
from textual.binding import Binding
from textual.widgets import Input

from actions.orders import Verb
from collectors.errors import ConfigError
from console.arrange import marked_hidden
from console.board import Look
from console.keys import ACTIONS, Home, key_pairs, named
from console.live import Live
from console.ordering_lock import PAST, READ_ONLY, Lock, State
from console.ordering_plan import Dialog, Subject, planned, read_plan, refused
from console.ordering_rules import Extent
from console.ordering_words import GRAMMARS, arguments_of
from console.requests import Asks, RequestFailed, Requests
from console.screens.confirm import ConfirmScreen
from console.shell import Shell
from console.visible import count_words, hosts_words

TICK_S = 1.0
"""How often the lock is looked at."""
DANGEROUS = frozenset(action.method for action in ACTIONS if action.dangerous)
_AT_ONCE = DANGEROUS | {"unlock"}
"""Done before the next key is given out: what is typed after `s` is for the dialog."""


class OrderingShell(Shell):
    """A dashboard that can be unlocked."""

    BINDINGS: ClassVar = [
        Binding(keys, method, label, show=False, priority=True)
        for keys, method, label in key_pairs(Home.HOSTS)
    ]

    def __init__(self, live: Live, look: Look, requests: Asks | None = None) -> None:
        super().__init__(live, look)
        self.requests: Asks = requests or Requests(live.loaded.path)
        self.lock = Lock()

    def on_mount(self) -> None:
        self.set_interval(TICK_S, self._watch_lock)

    # The lock

    @property
    def lock_state(self) -> State:
        if self.past is not None:
            return "past"
        return "open" if self.lock.is_open(self.live.clock()) else "locked"

    @property
    def why_not(self) -> str | None:
        """Why no host can be changed now."""
        return {"past": PAST, "locked": READ_ONLY, "open": None}[self.lock_state]

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, (events.Key, events.MouseDown)):
            self._watch_lock()
            self.lock = self.lock.touched(self.live.clock())
        await super().on_event(event)

    def action_unlock(self) -> None:
        """Unlock, or lock again."""
        if self.past is not None:
            self.say(PAST)
            return
        now = self.live.clock()
        self.lock = self.lock.locked() if self.lock.is_open(now) else self.lock.unlocked(now)
        self.show()

    def lock_up(self) -> None:
        """At once, without a word."""
        self.lock = self.lock.locked()
        self.show()

    def _watch_lock(self) -> None:
        """Lock what was left alone. An open dialog goes with it: who read its plan may be gone."""
        if not self.is_open:
            return
        was_open = self.lock.touched_at is not None
        if was_open and not self.lock.is_open(self.live.clock()):
            self.lock = self.lock.locked()
            dialog = self.dialog
            if dialog is not None and not dialog.dialog.is_placing:
                dialog.dismiss(None)
                self.say("locked again after 5 min without a key: nothing was ordered; u unlocks")
            else:
                self.say("locked again after 5 min without a key; u unlocks")
        if was_open:
            self.show()

    @property
    def unlocked_words(self) -> str:
        return self.lock.left_words(self.live.clock()) if self.past is None else ""

    def show_way(self) -> None:
        super().show_way()
        self.show_lock(self.lock_state)

    def show(self) -> None:
        super().show()
        self.show_lock(self.lock_state)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Verbs are bound only while they can be asked for, and where they are meant."""
        if action == "command_palette" and self.dialog is not None:
            return False
        if action in _AT_ONCE and (isinstance(self.focused, Input) or self.screen.is_modal):
            return False
        if action in DANGEROUS:
            return self.lock_state == "open" and self.home in (Home.FLEET, Home.HOST)
        return super().check_action(action, parameters)

    # What is asked for

    @property
    def dialog(self) -> ConfirmScreen | None:
        """The confirmation that is open, if one is."""
        return next((screen for screen in self.screen_stack if isinstance(screen, ConfirmScreen)), None)

    def _meant(self) -> list[str]:
        """The open host; else the marked ones, else the one under the cursor."""
        if self.host_screen is not None:
            return [self.host_screen.host]
        marks = sorted(self.fleet.marks)
        return marks or ([self.fleet.chosen] if self.fleet.chosen else [])

    async def _verb(self, name: str, argument: str) -> None:
        action = named(name)
        assert action is not None
        assert action.verb is not None
        if (why := self.why_not) is not None:
            self.say(why)
            return
        if not argument and GRAMMARS[action.verb].is_needed:
            await self.open_line(f"{name} ")
            return
        try:
            arguments = arguments_of(action.verb, argument)
        except ConfigError as error:
            self.say(error.message)
            return
        await self.ask_verb(action.verb, self._meant(), arguments)

    async def open_line(self, text: str) -> None:
        """The command line, begun with `text`."""
        raise NotImplementedError

    async def ask_verb(self, verb: str, hosts: list[str], arguments: list[str]) -> None:
        """Open the confirmation of a verb on hosts; what sends nothing is done at once.

        `arguments` are options of the command, as `ordering_words.arguments_of` makes them.
        """
        if (why := self.why_not) is not None:
            self.say(why)
        elif not hosts:
            self.say("no host is marked, and none is under the cursor")
        elif not GRAMMARS[verb].sends:
            self._change(verb, hosts, arguments)
        elif self.dialog is None:
            subject = self._subject(Verb(verb), hosts, arguments)
            screen = ConfirmScreen(self.look, Dialog(subject))
            await self.push_screen(screen, self._left)
            self._plan(screen)

    def _subject(self, verb: Verb, hosts: Sequence[str], arguments: Sequence[str]) -> Subject:
        fleet, marks = self.live.loaded.fleet, self.fleet.marks
        are_marked = self.host_screen is None and marks == frozenset(hosts)
        board = self.board
        return Subject(
            verb=verb,
            hosts=tuple(hosts),
            arguments=tuple(arguments),
            extent=Extent(fleet.name, len(fleet.hosts), tuple((one.name, one.hosts) for one in fleet.groups)),
            are_marked=are_marked,
            hidden=marked_hidden(self.fleet.listing, marks) if are_marked else 0,
            filter=self.fleet.filter_text,
            window=self.live.window_words() if verb.reboots else "",
            halts=tuple(f"{one.rollout} {one.word}: {one.text}" for one in board.view.alerts)
            if board
            else (),
        )

    def _left(self, _: None) -> None:
        """The dialog is gone: its plan is for nobody. An order that was confirmed goes on."""
        self.workers.cancel_group(self, "plan")
        self.show_way()

    # Plan and order

    @work(group="plan", exclusive=True)
    async def _plan(self, screen: ConfirmScreen) -> None:
        subject = screen.dialog.subject
        try:
            plan = read_plan(await self.requests.plan(subject.verb, subject.hosts, subject.arguments))
        except (RequestFailed, ValueError) as error:
            screen.show(refused(screen.dialog, str(error)))
            return
        board = await self.live.board()
        rows = {row.name: row for row in board.view.rows}
        screen.show(planned(screen.dialog, plan, rows))

    @on(ConfirmScreen.Confirmed)
    def _confirmed(self, message: ConfirmScreen.Confirmed) -> None:
        if (why := self.why_not) is not None:
            if self.dialog is not None:
                self.dialog.dismiss(None)
            self.say(f"nothing was ordered: {why}")
            return
        self._order(message.dialog, self.dialog)

    @work(group="orders")
    async def _order(self, confirmed: Dialog, screen: ConfirmScreen | None) -> None:
        """`screen` may be gone by its end, and another one be open."""
        plan, subject = confirmed.plan, confirmed.subject
        if plan is None or plan.plan_digest is None:
            return
        hosts = [host.host for host in plan.goes]
        try:
            order = await self.requests.order(subject.verb, hosts, subject.arguments, plan.plan_digest)
        except RequestFailed as error:
            if screen is not None and self.dialog is screen:
                screen.show(refused(screen.dialog, str(error)))
            else:
                self.say(str(error))
            return
        if screen is not None and self.dialog is screen:
            screen.dismiss(None)
        verb = str(subject.verb).replace("-", " ")
        self.say(f"{order.get('id')}: {verb} on {hosts_words(len(hosts))} goes on by itself; 7 shows it")

    @work(group="orders")
    async def _change(self, verb: str, hosts: Sequence[str], arguments: Sequence[str]) -> None:
        """What changes the database only."""
        marks = self.fleet.marks
        hidden = marked_hidden(self.fleet.listing, marks) if marks == frozenset(hosts) else 0
        try:
            said = await self.requests.run_plain(verb, hosts, arguments)
        except RequestFailed as error:
            said, hidden = str(error), 0
        self.say(said + (f"; {count_words(hidden)} of them hidden by the filter" if hidden else ""))

    # Verbs (console.keys)

    async def action_stage(self, argument: str = "") -> None:
        await self._verb("stage", argument)

    async def action_activate(self, argument: str = "") -> None:
        await self._verb("activate", argument)

    async def action_roll_back(self, argument: str = "") -> None:
        await self._verb("roll back", argument)

    async def action_channel(self, argument: str = "") -> None:
        await self._verb("channel", argument)

    async def action_reboot(self, argument: str = "") -> None:
        await self._verb("reboot", argument)

    async def action_cancel(self, argument: str = "") -> None:
        await self._verb("cancel", argument)

    async def action_updates(self, argument: str = "") -> None:
        await self._verb("updates", argument)

    async def action_repair(self, argument: str = "") -> None:
        await self._verb("repair", argument)

    async def action_hold(self, argument: str = "") -> None:
        await self._verb("hold", argument)

    async def action_unhold(self) -> None:
        await self._verb("unhold", "")

    async def action_acknowledge(self) -> None:
        await self._verb("acknowledge", "")

    async def action_pin(self, argument: str = "") -> None:
        await self._verb("pin", argument)
