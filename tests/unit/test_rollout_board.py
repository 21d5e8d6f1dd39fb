"""The board of rollouts: made from real rollouts in simulated time, read from a store, never slow."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from actions import rollout_tables
from actions.engine import encode, instant
from actions.record import Actor
from actions.rollout import waits
from actions.rollout_model import GateVerdict, HostPhase, Rollout, RolloutState
from actions.rollout_plan import Plan, PlanCohort, SkipReason
from actions.rollout_talk import OrderStage, Request, RequestKind
from collectors import store, tables
from collectors.fleet_model import Gate, GateKind, Window
from console.render_rollout_halt import answers
from console.render_rollout_time import local_words
from console.rollout_board import (
    EventLine,
    RolloutBoard,
    RolloutCard,
    RolloutLine,
    Told,
    card_of,
    list_order,
    shared_by,
)
from console.rollout_reading import RolloutReading
from tests.unit.engine_lab import RolloutLab, plan_for
from tests.unit.order_lab import NEW, OrderLab, use_lab_time
from tests.unit.rollout_lab import NO_PLAN, START, Lab, plan_of

__all__ = ["use_lab_time"]

Use = Callable[[OrderLab], OrderLab]
SLOW = 3
"""How much slower than at rest a machine may be that runs other tests as well."""
BERLIN = timezone(timedelta(hours=2), "CEST")
NIGHT = Window(
    "night", (0, 1, 2, 3, 4), START.replace(tzinfo=None, hour=11).time(), 4 * 3600, "Europe/Berlin"
)
"""09:00 to 13:00 UTC on the lab's day."""
PERSON = Gate("jana", GateKind.PERSON, None)
UNITS = Gate("units", GateKind.HEALTH, None)
BACK = "B 4593.2.5 did not come up, it is back in A 4593.2.3: look at its console log of that boot"
MODELS = ("r340", "r640", "r640", "r740")


def night_plan(*sizes: int, tolerance: int = 0, budget: int = 6, soak_s: int = 1800) -> Plan:
    """Hosts of several models and zones, reboots in a window, a gate."""
    base = replace(
        NO_PLAN,
        budget=budget,
        tolerance=tolerance,
        per_label={"zone": 3},
        windows=(NIGHT,),
        gates=(UNITS, PERSON),
        settle_s=600,
    )
    plan = plan_of(*sizes, base=base, tolerances=(0, tolerance), soak_s=soak_s)
    hosts = tuple(
        replace(
            host,
            name=f"edge-{host.labels['zone'] * 3}-{place:03}",
            labels={"zone": host.labels["zone"] * 3, "model": MODELS[place % len(MODELS)]},
        )
        for place, host in enumerate(plan.hosts)
    )
    return replace(plan, id="r-58", hosts=hosts)


def events_of(lab: Lab, at: datetime) -> tuple[EventLine, ...]:
    """What was said, newest first, a minute apart up to `at`."""
    told = list(enumerate(lab.said, 1))[::-1]
    return tuple(
        EventLine(n, at - timedelta(minutes=len(told) - n), tell.kind, tell.about, tell.text, tell.cause)
        for n, tell in told
    )


def board_of(lab: Lab, *others: RolloutLine, **more: object) -> RolloutBoard:
    now = lab.wall.astimezone(BERLIN)
    at = lab.plan.made_at or START
    title = f"{NEW} to {', '.join(cohort.name for cohort in lab.plan.cohorts)}"
    is_draft = lab.r.state is RolloutState.DRAFT
    people, runner = ("by jana", None) if is_draft else ("by jana, approved by tom", "console pid 811")
    told = Told(lab.plan.id, title, people, at, runner, events_of(lab, now))
    card = card_of(replace(told, **more), lab.plan, lab.r, now)  # type: ignore[arg-type]
    line = RolloutLine(lab.plan.id, title, lab.r.state, at)
    return RolloutBoard(list_order((line, *others)), card, now)


def card_in(board: RolloutBoard) -> RolloutCard:
    assert board.card is not None
    return board.card


def to_soak(lab: Lab) -> Lab:
    lab.start()
    names = [own.name for own in lab.plan.by_cohort[0]]
    lab.stage(*(name for name in names if name in lab.open))
    while turns := [name for name in names if name in lab.open]:
        for name in turns:
            lab.send(name)
            lab.pass_s(150)
            lab.tell(name, OrderStage.DONE, "activated", f"{NEW} runs, confirmed")
        lab.settle(*turns)
    lab.tick(600)
    return lab


def wave(tolerance: int = 1) -> Lab:
    """The canary passed, the wave is in its middle, one of its hosts reverted."""
    lab = Lab(replace(soaking().plan, tolerance=tolerance))
    cohorts = tuple(replace(one, tolerance=tolerance if at else 0) for at, one in enumerate(lab.plan.cohorts))
    lab = through_canary(Lab(replace(lab.plan, cohorts=cohorts)))
    names = [own.name for own in lab.plan.by_cohort[1]]
    lab.stage(*(name for name in names if name in lab.open))
    first, second, third = [name for name in names if name in lab.open][:3]
    lab.send(first)
    lab.pass_s(160)
    lab.tell(first, OrderStage.DONE, "activated", f"{NEW} runs, confirmed")
    lab.send(second)
    lab.pass_s(300)
    lab.tell(second, OrderStage.FAILED, "reverted", BACK)
    if lab.r.state is RolloutState.RUNNING:
        lab.settle(first)
        turns = [name for name in names if name in lab.open and name != third]
        lab.send(third)
        lab.tell(turns[0], OrderStage.LEASED)
        lab.tell(turns[0], OrderStage.DRAINING)
    return lab


def through_canary(lab: Lab) -> Lab:
    lab = to_soak(lab)
    lab.tick(1300)
    lab.all_well()
    lab.gate("units", GateVerdict.PASS)
    lab.ask(RequestKind.PROMOTE)
    lab.tick()
    return lab


def soaking() -> Lab:
    """The canary soaks; the waves wait for it."""
    return to_soak(Lab(night_plan(3, 12, 80)))


def halted() -> Lab:
    """The second host of the wave reverted, and none may."""
    return wave(0)


# -- the board -----------------------------------------------------------------------------------


def test_every_host_is_a_tile_once_and_what_went_wrong_comes_first() -> None:
    card = card_in(board_of(wave()))
    names = [tile.host for cohort in card.cohorts for tile in cohort.tiles]
    assert sorted(names) == sorted(card.plan.by_name)
    assert card.cohort is card.cohorts[1]
    phases = [tile.phase for tile in card.cohorts[1].tiles]
    assert phases[:3] == [HostPhase.FAILED, HostPhase.DONE, HostPhase.AWAITING_RETURN]
    assert phases[-1] is HostPhase.STAGED


@pytest.mark.parametrize("make", [wave, soaking, halted], ids=lambda make: str(make.__name__))
def test_every_host_that_is_not_done_says_why_in_the_words_of_the_rollout(make: Callable[[], Lab]) -> None:
    lab = make()
    card = card_in(board_of(lab))
    told = [name for wait in card.waits for name in wait.hosts]
    phases = {name: host.phase for name, host in lab.r.hosts.items()}
    assert sorted(told) == sorted(name for name, phase in phases.items() if not phase.is_settled)
    for wait in card.waits:
        for name in wait.hosts:
            text = local_words(waits(lab.plan, lab.r, name, lab.now), lab.wall.astimezone(BERLIN))
            is_halted = text == f"halted: {lab.r.why}"
            assert wait.text == text or (is_halted and "waits for your answer" in wait.text)


def test_hosts_that_settle_are_told_together() -> None:
    lab = Lab(night_plan(3, 12))
    lab.start()
    first, second = [own.name for own in lab.plan.by_cohort[0]][:2]
    lab.stage(*list(lab.open))
    (turn,) = lab.open
    lab.turn(turn)
    for name in list(lab.open):
        lab.activate(name)
        lab.pass_s(60)
    texts = [wait.text for wait in card_in(board_of(lab)).waits if wait.phase is HostPhase.SETTLING]
    assert len(texts) == 1
    assert texts[0].startswith("they settle, the last until 12:"), (first, second)


def test_times_of_sentences_are_those_of_the_clock_on_the_wall() -> None:
    now = datetime(2026, 8, 18, 23, 30, tzinfo=BERLIN)
    assert local_words("it settles until 22:20 UTC", now) == "it settles until 00:20"
    assert local_words("it opens Tue 2026-08-25 02:00 UTC", now) == "it opens 25 Aug 2026 04:00"
    assert local_words("it opens Wed 2026-08-19 02:00 UTC", now) == "it opens Wed 04:00"
    assert local_words("it reboots", now) == "it reboots"


def test_what_the_failed_share_is_told_against_those_that_went_well() -> None:
    card = card_in(board_of(halted()))
    (first, *_) = card.shared
    assert (first.what, first.failed, first.well, first.well_without) == ("model=r340", 1, 1, 3)
    assert len(first.to_come) == 22
    assert not any(shared.what.startswith("from ") for shared in card.shared), "all ran the same"


def test_a_group_may_be_what_they_share() -> None:
    lab = halted()
    (failed,) = (name for name, host in lab.r.hosts.items() if host.counts)
    found = shared_by(lab.plan, lab.r, {failed: ("lab",)})
    assert ("group lab", 0) in [(one.what, one.well) for one in found]
    well = soaking()
    assert shared_by(well.plan, well.r, {}) == ()


def test_the_list_begins_with_what_needs_a_person() -> None:
    states = (RolloutState.COMPLETED, RolloutState.DRAFT, RolloutState.RUNNING, RolloutState.HALTED)
    lines = [RolloutLine(f"r-{at}", "", state, START) for at, state in enumerate(states)]
    assert [line.id for line in list_order(lines)] == ["r-3", "r-2", "r-1", "r-0"]


def test_a_gate_waits_for_a_person_only_once_it_does() -> None:
    lab = soaking()
    assert card_in(board_of(lab)).gate_waits is None
    lab.tick(1300)
    lab.all_well()
    lab.gate("units", GateVerdict.PASS)
    waiting = card_in(board_of(lab)).gate_waits
    assert waiting is not None
    assert "person" in waiting


def test_the_end_is_guessed_from_what_was_seen_and_keeps_to_the_windows() -> None:
    lab = soaking()
    board = board_of(lab)
    card = card_in(board)
    assert card.durations.turn_s == 150
    assert card.ends_at is not None
    assert card.ends_at > board.now + timedelta(hours=4), "92 hosts do not fit into what is left of tonight"
    free = replace(lab.plan, windows=())
    sooner = card_of(card.told, free, lab.r, board.now).ends_at
    assert sooner is not None
    assert sooner < card.ends_at
    assert card_in(board_of(halted())).ends_at is None


def test_a_draft_tells_what_it_would_do() -> None:
    lab = Lab(night_plan(3, 12))
    hosts = (replace(lab.plan.hosts[0], skipped=SkipReason.HELD), *lab.plan.hosts[1:])
    card = card_in(board_of(Lab(replace(lab.plan, hosts=hosts))))
    assert card.moves == (("4593.2.3", 14),)
    assert card.guess is not None
    assert [(wait.hosts, wait.text) for wait in card.waits] == [((hosts[0].name,), "it is skipped (held)")]


# -- reading ---------------------------------------------------------------------------------------


ACTOR = Actor("jana", 1000, None, "ops-1")


def stored(directory: Path, plan: Plan, r: Rollout) -> Path:
    path = directory / "x.db"
    with closing(store.open_writer(path)) as conn, store.transaction(conn):
        at, actor = instant(START), encode(ACTOR).decode()
        rollout_tables.put_rollout(conn, plan, r, at=at, title=NEW, actor=actor)
    return path


def test_nothing_is_read_again_where_nothing_changed(tmp_path: Path) -> None:
    lab = halted()
    path, now = stored(tmp_path, lab.plan, lab.r), lab.wall.astimezone(BERLIN)
    reading = RolloutReading()
    with closing(store.open_reader(path)) as conn:
        first = reading.read(conn, now)
        second = reading.read(conn, now + timedelta(seconds=1))
        assert second.card is first.card
        assert second.rollouts is first.rollouts
        with closing(store.open_writer(path)) as writer, store.transaction(writer):
            words = ("host", "edge-1", "reverted", "")
            rollout_tables.add_event(writer, lab.plan.id, instant(now), *words)
            request = Request(RequestKind.ABORT, "tom", "enough")
            rollout_tables.add_request(writer, lab.plan.id, instant(now), request, encode(ACTOR).decode())
        third = card_in(reading.read(conn, now + timedelta(seconds=2)))
    assert [event.text for event in third.told.events] == ["reverted"]
    assert [(item.kind, item.who) for item in third.told.requests] == [(RequestKind.ABORT, "tom")]
    assert third.told.people == f"by {ACTOR.words}"
    assert third.told.runner is None


def test_a_commit_that_does_not_concern_it_leaves_it_as_it_is(tmp_path: Path) -> None:
    lab = halted()
    path, now = stored(tmp_path, lab.plan, lab.r), lab.wall.astimezone(BERLIN)
    reading = RolloutReading()
    with closing(store.open_reader(path)) as conn, closing(store.open_writer(path)) as writer:
        first = reading.read(conn, now)
        with store.transaction(writer):
            tables.put_setting(writer, "other", "thing")
        assert reading.read(conn, now + timedelta(seconds=1)).card is first.card


def test_the_one_that_is_chosen_is_read_whole_and_an_ended_one_is_counted(tmp_path: Path) -> None:
    lab = soaking()
    path = stored(tmp_path, lab.plan, lab.r)
    over = replace(lab.r, state=RolloutState.ABORTED, plan_id="r-1")
    stored(tmp_path, replace(lab.plan, id="r-1"), over)
    now, reading = lab.wall.astimezone(BERLIN), RolloutReading()
    with closing(store.open_reader(path)) as conn:
        assert card_in(reading.read(conn, now)).id == "r-58"
        board = reading.read(conn, now, "r-1")
        assert card_in(board).id == "r-1"
        assert [(line.id, line.done) for line in board.rollouts] == [("r-58", None), ("r-1", (3, 95))]
        assert card_in(reading.read(conn, now, "gone")).id == "r-58"


def test_without_a_rollout_there_is_an_empty_board(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    store.open_writer(path).close()
    with closing(store.open_reader(path)) as conn:
        board = RolloutReading().read(conn, START)
    assert board == RolloutBoard((), None, START)


def test_a_real_rollout_that_halts_brings_the_words_of_its_host(tmp_path: Path, use_lab_time: Use) -> None:
    lab = use_lab_time(OrderLab(tmp_path, ["behind"] * 4))
    for name in lab.basis.hosts:
        lab.life.fault(name, "fallback")
    cohorts = [(PlanCohort("canary", soak_s=1800), 2), (PlanCohort("rest", soak_s=0), 2)]
    one = RolloutLab(lab, plan_for(list(lab.basis.hosts), cohorts))
    one.place()
    assert one.run().state is RolloutState.HALTED
    with closing(store.open_reader(lab.database)) as conn:
        board = RolloutReading().read(conn, lab.clock.wall().astimezone(BERLIN))
    card = card_in(board)
    (failure,) = card.failures
    assert failure.word == "reverted"
    assert failure.away_s is not None
    assert failure.away_s > 60
    assert failure.said, "what it wrote in the boot that failed"
    assert next(event.text for event in card.told.events if event.kind == "rollout") == "halted"
    assert len(answers(card, board.now)) == 3


def test_five_thousand_hosts_are_read_in_time(tmp_path: Path) -> None:
    lab = Lab(night_plan(5, 95, 900, 4000, budget=50))
    lab.start()
    path, now = stored(tmp_path, lab.plan, lab.r), lab.wall.astimezone(BERLIN)
    reading, took = RolloutReading(), []
    with closing(store.open_reader(path)) as conn, closing(store.open_writer(path)) as writer:
        reading.read(conn, now)
        for second in range(3):
            with store.transaction(writer):
                rollout_tables.add_event(writer, lab.plan.id, instant(now), "host", "a", "b", "")
            begun = time.perf_counter()
            reading.read(conn, now + timedelta(seconds=second))
            took.append(time.perf_counter() - begun)
    assert min(took) < 0.15 * SLOW, took
