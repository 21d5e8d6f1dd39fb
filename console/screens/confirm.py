"""The confirmation of an order: over everything else, there at once, and left by esc at any time.

The dialog comes down by `show`, the confirmed one goes up (`Confirmed`). All keys end here; what they mean is
in `console.ordering_plan`. No part of it takes the focus: whatever is typed goes to the field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen

from console.board import Look
from console.confirm_text import MARGIN, body_lines, dialog_width, foot_lines, title_line
from console.ordering_plan import Answer, Dialog, pressed
from console.panes.lines import Lines
from console.screens.host import Pages

_SCROLLS = {
    "tab": "scroll_page_down",
    "shift+tab": "scroll_page_up",
    "pagedown": "scroll_page_down",
    "pageup": "scroll_page_up",
    "down": "scroll_down",
    "up": "scroll_up",
    "home": "scroll_home",
    "end": "scroll_end",
}


class _Body(Pages, can_focus=False):
    """What would be done to whom."""


class ConfirmScreen(ModalScreen[None]):
    """One order, until it stands or is left."""

    AUTO_FOCUS: ClassVar[str] = ""

    @dataclass
    class Confirmed(Message):
        """The order is to be given."""

        dialog: Dialog

    def __init__(self, look: Look, dialog: Dialog) -> None:
        super().__init__()
        self.look = look
        self.dialog = dialog
        self._body: list[str] = []

    def compose(self) -> ComposeResult:
        with Vertical(id="confirm"):
            yield Lines(id="confirm--title")
            yield _Body()
            yield Lines(id="confirm--foot")

    def on_mount(self) -> None:
        self._draw(is_new=True)

    def on_resize(self) -> None:
        self._draw()
        self.call_after_refresh(self._draw)

    def show(self, dialog: Dialog) -> None:
        """What is known of it now; what was typed meanwhile is in it."""
        is_new = dialog.plan is not self.dialog.plan or dialog.problem != self.dialog.problem
        self.dialog = dialog
        self._draw(is_new=is_new)

    def dress(self, look: Look) -> None:
        self.look = look
        self._draw()

    def _draw(self, *, is_new: bool = False) -> None:
        if not self.is_mounted or not self.app.size.width:
            return
        width = dialog_width(self.app.size.width)
        self._body = body_lines(self.dialog, self.look, width - 2 * MARGIN - 1)
        self.query_one("#confirm--title", Lines).show([title_line(self.dialog, self.look, width)])
        self._draw_foot()
        self.query_one(_Body).show(self._body, is_new=is_new, at_end=False)

    def _draw_foot(self) -> None:
        """Also what it leaves to the body: all of a small screen, no more than it needs on a large one."""
        screen, lines = self.app.size, len(self._body)
        width = dialog_width(screen.width)
        hidden = 0
        for _ in range(2):  # what the foot says of hidden lines may take one more of them
            foot = foot_lines(self.dialog, self.look, width, hidden)
            room = screen.height - len(foot) - 1
            height = room if width == screen.width else min(lines + 1, room - 2)
            hidden = max(lines - height, 0)
        foot = foot_lines(self.dialog, self.look, width, hidden)
        box = self.query_one("#confirm")
        box.styles.width, box.styles.height = width, height + len(foot) + 1
        self.query_one("#confirm--foot", Lines).show(foot)

    async def on_key(self, event: events.Key) -> None:
        """In the order in which they come; none gets past this screen."""
        event.stop()
        event.prevent_default()
        scroll = _SCROLLS.get(event.key)
        if scroll is not None:
            getattr(self.query_one(_Body), scroll)(animate=False)
            return
        before = self.dialog
        self.dialog, answer = pressed(before, event.key, event.character)
        if answer is Answer.LEAVE:
            self.dismiss(None)
            return
        if self.dialog.is_full != before.is_full:
            lines = len(self._body)
            self._draw()
            self.query_one(_Body).scroll_to(y=lines if self.dialog.is_full else 0, animate=False, force=True)
        elif self.dialog is not before:
            self._draw_foot()
        if answer is Answer.ORDER:
            self.post_message(self.Confirmed(self.dialog))
