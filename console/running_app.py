"""What runs, on the screen: orders, and what can be asked of them."""

from __future__ import annotations

import sqlite3

from textual import on, work

from collectors.errors import ConfigError
from console.ordering_app import OrderingShell
from console.panes.orders import OrdersPane


class RunningShell(OrderingShell):
    """A dashboard that shows what was ordered."""

    @property
    def orders(self) -> OrdersPane:
        return self.screen_stack[0].query_one(OrdersPane)

    async def read_mode(self) -> None:
        if self.mode == "orders":
            await self._show_orders()

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

    async def open_host(self, name: str) -> None:
        """Everything known of a host."""
        raise NotImplementedError

    def action_orders(self) -> None:
        self.enter("orders")
        self._order_chosen()
