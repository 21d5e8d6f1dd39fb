"""`:`: one line at the bottom of the screen, what it could become above it."""

from __future__ import annotations

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from collectors.errors import ConfigError
from console.board import Look
from console.commands import Command, Completion, Known, complete, parse
from console.panes.lines import Lines
from console.tone import Tone
from console.visible import cells, count_words

_SHOWN_MOST = 8
_SHOWN_SHORT = 5
"""Completions shown on a terminal of 24 lines."""
_WORD_MOST = 34


class _Line(Input):
    """Enter comes in its turn: a binding's key would be overtaken by letters that are typed after it."""

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            await self.action_submit()
            return
        await super()._on_key(event)


class CommandLine(ModalScreen[Command | None]):
    """Gives back what was asked for, or None; what cannot be done is said, and the line stays."""

    BINDINGS = [  # noqa: RUF012 - as Textual declares it
        Binding("escape", "close", "close", show=False),
        Binding("tab", "complete(1)", "complete", show=False, priority=True),
        Binding("shift+tab", "complete(-1)", "complete backwards", show=False, priority=True),
        Binding("up", "recall(-1)", "earlier line", show=False),
        Binding("down", "recall(1)", "later line", show=False),
    ]

    def __init__(self, look: Look, known: Known, history: list[str] | None = None, text: str = "") -> None:
        """`history`: lines typed before, oldest first; a line that is done is added to it."""
        super().__init__()
        self.look = look
        self.known = known
        self.history = [] if history is None else history
        self._text = text
        self._place = len(self.history)
        """Line of the history that is shown; its length: the one being typed."""
        self._typed = text
        self._cycle: list[Completion] = []
        self._at = -1
        """Completion of the cycle that stands in the line; -1: none."""

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Lines(id="completions")
            with Horizontal():
                yield Lines(classes="command--sign")
                yield _Line(self._text, select_on_focus=False)

    def on_mount(self) -> None:
        self.query_one(".command--sign", Lines).show([self.look.pen.code(self._key, " :")])
        line = self.query_one(Input)
        line.cursor_blink = False
        self.set_focus(line)  # now, not with the next turn: the next key may be there already
        self._offer()

    @property
    def _key(self) -> str:
        code = self.look.paint.tones.get(Tone.ACCENT, "")
        return code if self.look.plain else f"1;{code}"

    @property
    def line(self) -> str:
        return self.query_one(Input).value

    # What is shown

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self._at >= 0 and event.value == self._cycle[self._at].line:
            self._show_completions()
            return
        self._at = -1
        if self._place == len(self.history):
            self._typed = event.value
        self._offer()

    def _offer(self) -> None:
        self._cycle = complete(self.line, self.known)
        self._show_completions()

    def _show_completions(self) -> None:
        most = _SHOWN_MOST if self.app.size.height >= 30 else _SHOWN_SHORT
        first = max(self._at - most + 1, 0)
        shown = self._cycle[first : first + most]
        column = min(max((cells(self.look.pen.say(one.word)) for one in shown), default=0), _WORD_MOST)
        lines = [
            self._completion(one, column, is_chosen=first + index == self._at)
            for index, one in enumerate(shown)
        ]
        left = len(self._cycle) - first - len(shown)
        if left > 0:
            lines.append(self.look.pen(Tone.HINT, f"  {count_words(left)} more"))
        self.query_one("#completions", Lines).show(lines)

    def _completion(self, one: Completion, column: int, *, is_chosen: bool) -> str:
        pen, width = self.look.pen, self.app.size.width
        word = pen.say(one.word, column, "middle")
        drawn = pen.code(self.look.paint.key, word) if is_chosen else pen(Tone.TEXT, word)
        blanks = " " * (column - cells(word) + 2)
        return f"  {drawn}{blanks}{pen(Tone.DIM, pen.say(one.help, max(width - column - 6, 0)))}"

    # Keys

    def action_complete(self, step: int) -> None:
        """Tab: as far as all agree, then one after the other."""
        if not self._cycle:
            return
        agreed = _agreed([one.line for one in self._cycle])
        is_further = len(agreed) > len(self.line) and agreed.lower().startswith(self.line.lower())
        if len(self._cycle) == 1 or (self._at < 0 and is_further):
            self._set(agreed)
            return
        first = 0 if step > 0 else len(self._cycle) - 1
        self._at = first if self._at < 0 else (self._at + step) % len(self._cycle)
        self._set(self._cycle[self._at].line)
        self._show_completions()

    def action_recall(self, step: int) -> None:
        place = self._place + step
        if 0 <= place <= len(self.history):
            self._place = place
            self._set(self._typed if place == len(self.history) else self.history[place])

    def _set(self, text: str) -> None:
        line = self.query_one(Input)
        line.value = text
        line.cursor_position = len(text)

    def action_close(self) -> None:
        self.dismiss(None)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        line = event.value.strip()
        if not line:
            self.dismiss(None)
            return
        try:
            command = parse(line, self.known)
        except ConfigError as error:
            self._refuse(error.message)
            return
        if self.history[-1:] != [line]:
            self.history.append(line)
        self.dismiss(command)

    def _refuse(self, message: str) -> None:
        pen = self.look.pen
        words = pen.say(message, self.app.size.width - 6)
        self.query_one("#completions", Lines).show(
            [f"  {pen(Tone.BAD, pen.marks.alert)} {pen(Tone.TEXT, words)}"]
        )


def _agreed(texts: list[str]) -> str:
    """The beginning that all have in common."""
    first, last = min(texts), max(texts)
    same = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), None)
    return first if same is None else first[:same]
