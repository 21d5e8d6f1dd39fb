"""What a person tells a rollout: shown with what it does, given a reason, confirmed by a key of its own.

Enter only goes to the next field; esc leaves everything as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from console.board import Look

CONFIRMS = "ctrl+g"


@dataclass(frozen=True, slots=True)
class Question:
    """One answer that is about to be given."""

    title: str
    """`retry failed   r-58   4593.2.5 to canary, rest`."""
    does: str
    """What it does, in a sentence."""
    about: str
    """The rollout's headline."""
    expected: int = 0
    """Hosts whose number is to be typed; 0: none is asked for."""
    needs_reason: bool = True


class AnswerScreen(ModalScreen[str | None]):
    """The reason, once it is confirmed; None where it was left."""

    AUTO_FOCUS: ClassVar[str] = "Input"
    BINDINGS: ClassVar = [
        Binding("escape", "leave", show=False, priority=True),
        Binding(CONFIRMS, "confirm", show=False, priority=True),
    ]

    def __init__(self, look: Look, question: Question) -> None:
        super().__init__()
        self.look = look
        self.question = question

    def compose(self) -> ComposeResult:
        pen, asked = self.look.pen, self.question
        with Vertical(id="answer"):
            yield Static(pen.say(asked.title, 200), classes="answer--title", markup=False)
            yield Static(pen.say(asked.does, 300), classes="answer--does", markup=False)
            yield Static(pen.say(asked.about, 300), classes="answer--about", markup=False)
            if asked.expected:
                with Horizontal():
                    yield Static(f"type the number of hosts, {asked.expected}  ", markup=False)
                    yield Input(id="answer--count", compact=True)
            with Horizontal():
                yield Static("reason  " if asked.needs_reason else "reason, if there is one  ", markup=False)
                yield Input(id="answer--reason", compact=True)
            yield Static("", id="answer--problem", markup=False)
            yield Static(f"{CONFIRMS} {asked.title.split('  ')[0]}   esc leaves it as it is", markup=False)

    def dress(self, look: Look) -> None:
        self.look = look

    @on(Input.Submitted)
    def _next_field(self, message: Input.Submitted) -> None:
        fields = list(self.query(Input))
        fields[(fields.index(message.input) + 1) % len(fields)].focus()

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_confirm(self) -> None:
        asked, reason = self.question, self.query_one("#answer--reason", Input).value.strip()
        problem = ""
        if asked.expected and self.query_one("#answer--count", Input).value.strip() != str(asked.expected):
            problem = f"locked until {asked.expected} is typed"
        elif asked.needs_reason and not reason:
            problem = "it needs a reason: the record keeps it"
        if problem:
            self.query_one("#answer--problem", Static).update(problem)
        else:
            self.dismiss(reason)
