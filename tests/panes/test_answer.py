"""What a rollout is told from the dashboard: only once unlocked, with a reason, by a key of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from actions.rollout_talk import RequestKind
from console.app import FleetApp
from console.panes.rollouts import RolloutsPane
from console.render_rollout_asks import Wish
from console.running_app import words_of
from console.screens.answer import AnswerScreen
from tests.panes.confirm_stand import FakeRequests, said, walk
from tests.panes.still import until

RETRY = Wish(RequestKind.RETRY_FAILED, "r-1", ("edge-1",))
BACK = Wish(RequestKind.ROLL_BACK, "r-1", expected=14)


@pytest.fixture
def fleet_file(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.toml"
    path.write_text('name = "lab"\n[[groups]]\nname = "all"\nhosts = ["edge-1", "edge-2"]\n')
    return path


async def asked(app: FleetApp, pilot: Pilot[int], wish: Wish) -> AnswerScreen:
    app.action_rollouts()
    app.action_unlock()
    app.rollouts.post_message(RolloutsPane.Answered(wish))
    await until(pilot, lambda: isinstance(app.screen, AnswerScreen))
    assert isinstance(app.screen, AnswerScreen)
    return app.screen


def test_a_reason_and_the_confirming_key(fleet_file: Path) -> None:
    requests = FakeRequests("")

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await asked(app, pilot, RETRY)
        await pilot.press("enter", "ctrl+g")
        assert isinstance(app.screen, AnswerScreen), "without a reason nothing is told"
        await pilot.press(*"disk", "space", *"swapped", "enter")
        assert isinstance(app.screen, AnswerScreen), "enter tells nothing"
        assert requests.told == []
        await pilot.press("ctrl+g")
        await until(pilot, lambda: bool(requests.told))
        assert requests.told == [("retry-failed", "r-1", "edge-1", "--reason", "disk swapped")]
        await until(pilot, lambda: said(app) == "done")

    walk(fleet_file, requests, act)


def test_hosts_that_are_rebooted_are_counted(fleet_file: Path) -> None:
    requests = FakeRequests("")

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        screen = await asked(app, pilot, BACK)
        await pilot.press("1", "3", "enter")
        await until(pilot, lambda: app.focused is screen.query_one("#answer--reason", Input))
        await pilot.press("x", "ctrl+g")
        assert app.screen is screen
        screen.query_one("#answer--count", Input).value = "14"
        await pilot.press("ctrl+g")
        await until(pilot, lambda: bool(requests.told))
        assert requests.told == [("roll-back", "r-1", "--reason", "x", "--yes", "--expect-hosts", "14")]

    walk(fleet_file, requests, act)


def test_esc_and_a_locked_dashboard_tell_nothing(fleet_file: Path) -> None:
    requests = FakeRequests("")

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await asked(app, pilot, RETRY)
        await pilot.press("x", "escape")
        await until(pilot, lambda: not isinstance(app.screen, AnswerScreen))
        app.lock_up()
        app.rollouts.post_message(RolloutsPane.Answered(RETRY))
        await until(pilot, lambda: "read-only" in said(app))
        assert requests.told == []

    walk(fleet_file, requests, act)


def test_an_approval_goes_on_by_itself() -> None:
    wish = Wish(RequestKind.APPROVE, "r-1", expected=3)
    assert words_of(wish, "") == ["start", "r-1", "--yes", "--expect-hosts", "3", "--no-wait"]
    assert words_of(Wish(RequestKind.RELEASE_HOST, "r-1", ("a",)), "x")[0] == "release"
