"""The last line of the screen: keys of this place and the way here, or a sentence for a while."""

from __future__ import annotations

from collections.abc import Sequence

from textual.strip import Strip
from textual.widget import Widget

from console import ink
from console.board import Look
from console.foot_line import foot_line
from console.keys import Home, places_of
from console.ordering_lock import State


class Foot(Widget):
    """Where one is, down (`show`); a sentence instead of the keys (`say`) until it is taken away."""

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.look = look
        self.said = ""
        self._state: State = "locked"
        self._homes: tuple[Home, ...] = (Home.APP,)
        self._trail: tuple[str, ...] = ()

    def show(self, home: Home, trail: Sequence[str] = ()) -> None:
        """`trail` is the way here, from the mode on: `fleet`, a host's name, what is shown of it."""
        self._homes, self._trail = places_of(home), tuple(trail)
        self.refresh()

    def show_state(self, state: State) -> None:
        """Whether hosts can be changed from here."""
        if state != self._state:
            self._state = state
            self.refresh()

    def say(self, text: str) -> None:
        """A sentence on what just happened; "" brings the keys back."""
        self.said = text
        self.refresh()

    def dress(self, look: Look) -> None:
        self.look = look
        self.refresh()

    @property
    def line(self) -> str:
        """What is drawn."""
        return foot_line(self._homes, self._trail, self.said, self.look, self.size.width, self._state)

    def render_line(self, y: int) -> Strip:
        return ink.strip(self.line if y == 0 else "", self.rich_style, self.size.width)
