"""The line above the table: filter, counts, marks, toggles, order; and where the filter is typed.

`status_line` draws it, pure; `FilterLine` shows it, and opens an input in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.geometry import Size
from textual.message import Message
from textual.reactive import Reactive
from textual.widgets import Input

from console.board import Look
from console.panes.lines import Lines
from console.spans import Spans, code_of, drawn, joined, width_of
from console.tone import Tone
from console.visible import cells, count_words

_TEXT_LEAST = 12


@dataclass(frozen=True, slots=True)
class FilterState:
    """What the line says."""

    text: str = ""
    listed: int = 0
    """Hosts that filter and toggles let through."""
    hosts: int = 0
    marked: int = 0
    hidden: int = 0
    """Of the marked ones, those that are not listed."""
    waiting: int = 0
    """Hosts that would move if the table were sorted."""
    attention: int = 0
    reboots: int = 0
    only_attention: bool = False
    only_reboots: bool = False
    order: str = "attention first"
    is_range: bool = False
    """Marks follow the cursor."""
    error: str = ""
    """Why what is being typed selects nothing."""

    @property
    def is_narrowed(self) -> bool:
        return bool(self.text) or self.only_attention or self.only_reboots


def status_line(state: FilterState, look: Look, width: int, *, is_typing: bool = False) -> str:
    """The whole line, `width` cells; where something is typed, what stands beside the input.

    Said in full, then shorter, then the order and the toggles are left out; the filter's text is cut last.
    """
    sign = () if is_typing else _sign(state, look)
    for level in range(5):
        left, right = _left(state, look, level, is_typing=is_typing), _right(state, look, level)
        used = width_of(sign) + width_of(left) + (3 + width_of(right) if right else 0)
        if used + 2 <= width:
            break
    text = _cut(sign, look, max(width - (used - width_of(sign)) - 2, _TEXT_LEAST))
    spans = (("", " "), *text, *left)
    gap = width - width_of(spans) - width_of(right) - 1
    if gap < 0:  # not even the shortest fits
        words = look.pen.say("".join(part for _, part in spans), width - 1)
        return words + " " * (width - cells(words))
    return drawn(spans, look) + " " * gap + drawn(right, look) + " "


def _sign(state: FilterState, look: Look) -> Spans:
    accent, text, dim = (code_of(look, tone) for tone in (Tone.ACCENT, Tone.TEXT, Tone.DIM))
    shown = (text, look.pen.say(state.text)) if state.text else (dim, "every host")
    return (accent, "/"), ("", " "), shown


def _cut(spans: Spans, look: Look, room: int) -> Spans:
    """With the text, which is the last of them, in what room there is."""
    if not spans or width_of(spans) <= room:
        return spans
    code, text = spans[-1]
    return (*spans[:-1], (code, look.pen.say(text, max(room - width_of(spans[:-1]), 1))))


def _left(state: FilterState, look: Look, level: int, *, is_typing: bool) -> Spans:
    bright, dim, chosen, text = (
        code_of(look, tone) for tone in (Tone.BRIGHT, Tone.DIM, Tone.CHOSEN, Tone.TEXT)
    )
    parts: list[Spans] = []
    if is_typing and state.error:
        parts.append(((code_of(look, Tone.WARN), look.pen.say(state.error)),))
    elif state.is_narrowed:
        parts.append(((bright, count_words(state.listed)), (dim, f" of {count_words(state.hosts)}")))
    else:
        word = "host" if state.hosts == 1 else "hosts"
        parts.append(((text, count_words(state.hosts)), (dim, f" {word}")))
    if state.marked:
        hidden = ", {} hidden by the filter" if level == 0 else ", {} hidden"
        words = hidden.format(count_words(state.hidden)) if state.hidden else ""
        parts.append(((_bold(chosen), count_words(state.marked)), (chosen, " marked"), (dim, words)))
    if state.is_range:
        parts.append(((chosen, "range"), (dim, ", v ends" if level else ", v ends it")))
    if state.waiting:
        words = " would move, r sorts" if level < 2 else " move, r"
        parts.append(((text, count_words(state.waiting)), (dim, words)))
    gap = 3 if level == 0 else 2
    lead = () if is_typing else (("", " " * gap),)
    return (*lead, *joined(parts, gap))


_ATTENTION = ((" needs attention", " need attention"), (" attention", " attention"))
_REBOOTS = ((" reboots by itself", " reboot by themselves"), (" reboots", " reboot"))
"""Beside one host and beside several, in full and shorter; beyond that the key and the number only."""


def _right(state: FilterState, look: Look, level: int) -> Spans:
    parts: list[Spans] = []
    if level < 4 and (state.attention or state.only_attention):
        words = _beside(state.attention, _ATTENTION, level)
        parts.append(_toggle("!", state.attention, words, look, is_on=state.only_attention))
    if level < 4 and (state.reboots or state.only_reboots):
        words = _beside(state.reboots, _REBOOTS, level)
        parts.append(_toggle("w", state.reboots, words, look, is_on=state.only_reboots))
    if level < 3 and state.order:
        parts.append(((code_of(look, Tone.DIM), look.pen.say(state.order)),))
    return joined(parts, 3 if level == 0 else 2)


def _beside(count: int, words: Sequence[tuple[str, str]], level: int) -> str:
    return words[level][count != 1] if level < len(words) else ""


def _toggle(key: str, count: int, words: str, look: Look, *, is_on: bool) -> Spans:
    number = count_words(count)
    if is_on:
        return ((look.paint.key, f" {key} {number}{words} "),)
    return (
        (code_of(look, Tone.ACCENT), key),
        (code_of(look, Tone.TEXT), f" {number}"),
        (code_of(look, Tone.DIM), words),
    )


def _bold(code: str) -> str:
    return f"1;{code}" if code else "1"


class _Typing(Input):
    """The input; `esc` is its own, before that of the screen."""

    BINDINGS = [Binding("escape", "leave", show=False)]  # noqa: RUF012

    virtual_size = Reactive(Size(0, 0), layout=False)
    """Its place is given: a letter more needs no layout of the whole screen."""

    def __init__(self, typed: Callable[[str], None]) -> None:
        super().__init__(compact=True, select_on_focus=False, classes="filter--input")
        self.cursor_blink = False
        self._typed = typed

    def watch_value(self, value: str) -> None:
        self._typed(value)

    def action_leave(self) -> None:
        self.post_message(FilterLine.Left())


class FilterLine(Horizontal):
    """State down (`show`), what is typed (`typed`) and that it is over (`Kept`, `Left`) up."""

    @dataclass
    class Kept(Message):
        """Enter."""

    @dataclass
    class Left(Message):
        """Esc."""

    def __init__(self, look: Look, typed: Callable[[str], None], *, id: str | None = None) -> None:
        """`typed` is called with each new text. A message would come too late for the same repaint."""
        super().__init__(id=id)
        self.look = look
        self.typed = typed
        self.state = FilterState()
        self.is_typing = False
        self._sign = Lines(classes="filter--sign")
        self._input = _Typing(self._changed)
        self._words = Lines(classes="filter--words")

    def compose(self) -> ComposeResult:
        yield self._sign
        yield self._input
        yield self._words

    def on_mount(self) -> None:
        self._set_typing(False)

    def show(self, state: FilterState) -> None:
        self.state = state
        self._draw()

    def dress(self, look: Look) -> None:
        self.look = look
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def open(self) -> None:
        """Type in place of the text that stands there."""
        self._input.value = self.state.text
        self._input.cursor_position = len(self._input.value)
        self._set_typing(True)
        self.screen.set_focus(self._input)  # now: the next key may be there already

    def close(self) -> None:
        self._set_typing(False)

    def _set_typing(self, is_typing: bool) -> None:
        self.is_typing = is_typing
        self.state = replace(self.state, error="")
        self._sign.display = self._input.display = is_typing
        self._draw()

    def _draw(self) -> None:
        width = self.size.width
        if not width:
            return
        pen = self.look.pen
        self._sign.show([" " + pen(Tone.ACCENT, "/")])
        if self.is_typing:
            width = max(width - self.typing_width - 3, 1)
        self._words.show([status_line(self.state, self.look, width, is_typing=self.is_typing)])
        self._input.styles.width = self.typing_width

    @property
    def typing_width(self) -> int:
        return max(self.size.width * 2 // 5, 20)

    def _changed(self, text: str) -> None:
        if self.is_typing:
            self.typed(text)

    @on(Input.Changed)
    def _known(self, event: Input.Changed) -> None:
        event.stop()  # said already, at once

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Kept())
