"""What runs, on the screen: orders and rollouts, and what can be asked of them."""

from __future__ import annotations

import sqlite3

from textual import on, work

from actions.rollout_talk import RequestKind
from collectors.errors import ConfigError
from console.keys import ACTIONS
from console.ordering_app import OrderingShell
from console.panes.orders import OrdersPane
from console.panes.rollouts import RolloutsPane
from console.render_rollout_asks import Wish
from console.requests import RequestFailed
from console.screens.answer import AnswerScreen, Question
from console.visible import hosts_words

REASONLESS = (RequestKind.PAUSE, RequestKind.RESUME, RequestKind.APPROVE)
_WORDS = {RequestKind.APPROVE: "start", RequestKind.RELEASE_HOST: "release"}
_NAMES_HOSTS = (RequestKind.RELEASE_HOST, RequestKind.RETRY_FAILED, RequestKind.ACCEPT_FAILURES)


def word_of(kind: RequestKind) -> str:
    """The command of `fleetctl rollout`."""
    return _WORDS.get(kind, str(kind))


def words_of(wish: Wish, reason: str) -> list[str]:
    """Behind `fleetctl rollout`."""
    words = [word_of(wish.kind), wish.rollout_id]
    if wish.kind in _NAMES_HOSTS:
        words += wish.hosts
    if reason:
        words += ["--reason", reason]
    if wish.expected:
        words += ["--yes", "--expect-hosts", str(wish.expected)]
    return [*words, "--no-wait"] if wish.kind is RequestKind.APPROVE else words


class RunningShell(OrderingShell):
    """A dashboard that shows what was ordered."""

    @property
    def orders(self) -> OrdersPane:
        return self.screen_stack[0].query_one(OrdersPane)

    async def read_mode(self) -> None:
        if self.mode == "orders":
            await self._show_orders()
        elif self.mode == "rollouts":
            await self._show_rollouts()

    async def _show_orders(self) -> None:
        chosen = self.orders.chosen
        try:
            board = await self.live.orders(chosen.id if chosen is not None else None)
        except (ConfigError, sqlite3.Error):
            return  # the head of the screen says what is wrong with the database
        if self.is_open:
            self.orders.show(board)

    @on(OrdersPane.OrderChosen)
    @work(group="orders shown", exclusive=True)
    async def _order_chosen(self) -> None:
        await self._show_orders()

    @on(OrdersPane.HostOpened)
    async def _order_host_opened(self, message: OrdersPane.HostOpened) -> None:
        await self.open_host(message.name)

    @on(OrdersPane.CopyAsked)
    def _order_copied(self, message: OrdersPane.CopyAsked) -> None:
        self.copy_to_clipboard(message.text)
        self.say(message.words)

    @on(OrdersPane.Said)
    def _orders_said(self, message: OrdersPane.Said) -> None:
        self.say(message.text)

    @on(OrdersPane.InverseAsked)
    async def _inverse_asked(self, message: OrdersPane.InverseAsked) -> None:
        inverse = message.inverse
        if inverse.verb is None:
            self.say(inverse.words)
        else:
            await self.ask_verb(str(inverse.verb), list(inverse.hosts), list(inverse.arguments))

    # Rollouts

    @property
    def rollouts(self) -> RolloutsPane:
        return self.screen_stack[0].query_one(RolloutsPane)

    async def _show_rollouts(self) -> None:
        try:
            board = await self.live.rollouts(self.rollouts.chosen)
        except (ConfigError, sqlite3.Error):
            return  # as above
        if self.is_open:
            self.rollouts.show(board)

    @on(RolloutsPane.RolloutChosen)
    @work(group="rollouts shown", exclusive=True)
    async def _rollout_chosen(self) -> None:
        await self._show_rollouts()

    @on(RolloutsPane.HostOpened)
    async def _tile_opened(self, message: RolloutsPane.HostOpened) -> None:
        await self.open_host(message.name)

    @on(RolloutsPane.Said)
    def _rollouts_said(self, message: RolloutsPane.Said) -> None:
        self.say(message.text)

    @on(RolloutsPane.Answered)
    @work(group="answers")
    async def _answered(self, message: RolloutsPane.Answered) -> None:
        """Shown, given a reason, confirmed; then told to whoever carries the rollout out."""
        if (why := self.why_not) is not None:
            self.say(why)
            return
        wish = message.wish
        action = next(one for one in ACTIONS if one.verb == f"rollout {word_of(wish.kind)}")
        hosts = f" on {hosts_words(len(wish.hosts))}" if wish.hosts else ""
        question = Question(
            title=f"{action.label}{hosts}  {wish.rollout_id}",
            does=action.help,
            about=self.rollouts.headline,
            expected=wish.expected,
            needs_reason=wish.kind not in REASONLESS,
        )
        reason = await self.push_screen_wait(AnswerScreen(self.look, question))
        self.show_way()
        if reason is None:
            return
        if (why := self.why_not) is not None:
            self.say(f"nothing was asked for: {why}")
            return
        self.say(f"{action.label}: asked for")
        try:
            self.say(await self.requests.tell_rollout(words_of(wish, reason)))
        except RequestFailed as error:
            self.say(str(error))

    def action_rollouts(self) -> None:
        self.enter("rollouts")
        self._rollout_chosen()

    async def open_host(self, name: str) -> None:
        """Everything known of a host."""
        raise NotImplementedError

    def action_orders(self) -> None:
        self.enter("orders")
        self._order_chosen()
