"""What a child order tells of its host, and where the host goes from there. Pure.

A message of another order than the host's open one is of the past and changes nothing; so is one that tells
less than is known already. Each ends exactly once.
"""

from __future__ import annotations

from dataclasses import replace

from actions.orders import Verb
from actions.rollout_codes import MOST_MOVES, MOST_TRIES, Turn, Verdict, verdict
from actions.rollout_desk import Desk
from actions.rollout_halt import disarm, fail, goes_back, lose, may_have_updates_back
from actions.rollout_model import FailKind, HostPhase, HostState, Quiet, RolloutState
from actions.rollout_plan import ActionKind, SkipReason
from actions.rollout_talk import LookAt, OrderStage, OrderTold, Said

_RANK = {
    HostPhase.LEASED: 0,
    HostPhase.DRAINING: 1,
    HostPhase.REBOOT_ISSUED: 2,
    HostPhase.AWAITING_RETURN: 3,
    HostPhase.VERIFYING: 4,
}
_STAGE_PHASES = {
    OrderStage.LEASED: HostPhase.LEASED,
    OrderStage.DRAINING: HostPhase.DRAINING,
    OrderStage.ISSUED: HostPhase.REBOOT_ISSUED,
    OrderStage.AWAITING: HostPhase.AWAITING_RETURN,
    OrderStage.VERIFYING: HostPhase.VERIFYING,
}
_BACK_AGAIN = (Turn.AGAIN, Turn.WAIT, Turn.BUSY, Turn.MOVED)


def told(desk: Desk, news: OrderTold) -> None:
    host = desk.host(news.host)
    if not _is_open(host, news):
        return
    if host.order_id != news.order_id:
        host = replace(host, order_id=news.order_id)
        desk.put(news.host, host)
    if not news.stage.is_end:
        _goes_on(desk, news, host)
        return
    ended = replace(host, verb=None, is_called_back=False, code=news.code, text=news.text)
    found = verdict(news.verb, news.stage, news.code, touched=host.is_ours)
    if news.verb is Verb.CANCEL:
        _disarmed(desk, news, ended, found)
    elif news.verb is Verb.UPDATES:
        _updates_set(desk, news, ended, found)
    elif _goes_home(desk, news):
        _back(desk, news, ended, found)
    else:
        _forward(desk, news, ended, found)
    _comes_next(desk, news.host)


def _comes_next(desk: Desk, name: str) -> None:
    """What the state of the whole wants of a host whose order has just ended, wherever that left it."""
    host = desk.host(name)
    if disarm(desk, name) or name in desk.r.todo or any(item.host == name for item in desk.r.later):
        return
    back = desk.r.state is RolloutState.ROLLING_BACK and goes_back(host)
    if back or (not desk.r.state.is_open and may_have_updates_back(desk.r, host)):
        first = back and host.holds_budget
        desk.r = replace(desk.r, todo=(name, *desk.r.todo) if first else (*desk.r.todo, name))


def _is_open(host: HostState, news: OrderTold) -> bool:
    """The order that is open, or the one whose outcome nobody knew."""
    if host.verb is news.verb:
        known = host.order_id is not None
        return host.order_id == news.order_id if known else news.order_id not in host.past_orders
    late = host.phase is HostPhase.UNKNOWN or host.phase is HostPhase.MISSING
    return late and host.verb is None and host.order_id == news.order_id and news.stage.is_end


def _goes_home(desk: Desk, news: OrderTold) -> bool:
    return news.verb is Verb.ROLL_BACK and desk.plan.action.kind is not ActionKind.ROLL_BACK


def _goes_on(desk: Desk, news: OrderTold, host: HostState) -> None:
    if news.verb is Verb.STAGE:
        if news.stage is OrderStage.ISSUED and host.phase is HostPhase.PREFLIGHT:
            desk.put(news.host, replace(host, phase=HostPhase.STAGING, is_called_back=False))
        return
    if news.verb in (Verb.CANCEL, Verb.UPDATES) or news.stage is OrderStage.PLANNED:
        return
    phase = _STAGE_PHASES[news.stage]
    if phase is HostPhase.REBOOT_ISSUED and not news.verb.reboots:
        phase = HostPhase.VERIFYING
    if host.phase not in _RANK or _RANK[phase] < _RANK[host.phase]:
        return
    host = replace(host, phase=phase, was_leased=True)
    if phase.is_sent:
        begun = host.issued_at or desk.now.steady
        host = replace(
            host,
            is_called_back=False,
            is_released=False,
            issued_at=begun,
            has_target=True,
            text=news.text,
        )
    desk.put(news.host, host)


# -- staging and turns ------------------------------------------------------------------------------------


def _forward(desk: Desk, news: OrderTold, host: HostState, found: Verdict) -> None:
    name = news.host
    if found.armed is not None:
        host = replace(host, is_armed=found.armed)
    nothing_done = news.stage in (OrderStage.REFUSED, OrderStage.NOT_SENT)
    if nothing_done and news.code != "drain-failed":
        host = replace(host, was_leased=False, has_target=host.has_target and host.issued_at is None)
    match found.turn:
        case Turn.GOOD if news.verb is Verb.STAGE:
            staged = replace(host, phase=HostPhase.STAGED, is_ours=True, tries=0)
            desk.put(name, staged)
            desk.queue(name)
        case Turn.GOOD:
            _turned(desk, name, host)
        case Turn.ALREADY:
            _already(desk, news, host)
        case Turn.AGAIN | Turn.WAIT | Turn.BUSY | Turn.MOVED:
            _rests(desk, news, host, found.turn)
        case Turn.SKIP:
            desk.put(name, replace(host, phase=HostPhase.SKIPPED, skipped=found.skipped))
            desk.tell(Said.HOST, name, f"skipped: {found.skipped}", host.text)
        case Turn.BY_ITSELF:
            moved_by_itself(desk, name, host, host.text)
        case _:
            _ended_badly(desk, name, host, found)


def _turned(desk: Desk, name: str, host: HostState) -> None:
    """As ordered; a host that was called missing came back, and stays a failure that holds nothing."""
    if host.phase is HostPhase.MISSING:
        desk.put(name, replace(host, is_released=True, is_armed=False))
        desk.tell(Said.HOST, name, "came back after its deadline", host.text)
        return
    fresh = replace(host, boot_id=None, looked_at=desk.now.steady, bad_looks=0, silent_since=None)
    desk.put(
        name, replace(fresh, phase=HostPhase.SETTLING, has_target=True, was_leased=True, tries=0, moves=0)
    )
    desk.intents.append(LookAt(name))


def _already(desk: Desk, news: OrderTold, host: HostState) -> None:
    name, plan = news.host, desk.plan
    if host.has_target and news.verb is plan.turning.verb:
        _turned(desk, name, host)
    elif news.verb is Verb.STAGE and (host.is_ours or host.has_target):
        desk.put(name, replace(host, phase=HostPhase.STAGED, is_ours=True))
        desk.queue(name)
    elif plan.action.kind is ActionKind.CHANNEL or _ran_target(desk, name):
        desk.put(name, replace(host, phase=HostPhase.SKIPPED, skipped=SkipReason.ALREADY_THERE))
        desk.tell(Said.HOST, name, "skipped: already-there", host.text)
    else:
        armed = news.verb is Verb.STAGE
        moved_by_itself(desk, name, replace(host, is_armed=armed), host.text)


def _ran_target(desk: Desk, name: str) -> bool:
    target = desk.plan.action.version
    return target is not None and desk.plan.by_name[name].running_version == target


def moved_by_itself(desk: Desk, name: str, host: HostState, text: str) -> None:
    desk.put(name, replace(host, phase=HostPhase.EXCEPTION, text=text, was_leased=False))
    desk.tell(Said.HOST, name, "exception: moved-by-itself", text)


def _rests(desk: Desk, news: OrderTold, host: HostState, turn: Turn) -> None:
    """Nothing was done: it waits for its next try, or has had enough of them."""
    name = news.host
    is_staged = news.verb is not Verb.STAGE and desk.plan.staging is not None
    phase = HostPhase.STAGED if is_staged and turn is not Turn.MOVED else HostPhase.PENDING
    rested = replace(host, phase=phase, failed=None)
    if turn is Turn.BUSY and host.tries >= MOST_TRIES:
        text = f"{host.tries + 1} tries, and still: {host.text}"
        desk.put(name, rested)
        fail(desk, name, FailKind.PREFLIGHT, text)
    elif turn is Turn.MOVED and host.moves >= MOST_MOVES:
        desk.put(name, rested)
        fail(desk, name, FailKind.PREFLIGHT, f"it moved {host.moves + 1} times: {host.text}")
    elif turn is Turn.AGAIN:
        desk.put(name, rested)
        desk.queue(name)
    elif turn is Turn.MOVED:
        desk.put(name, replace(rested, moves=host.moves + 1))
        desk.queue(name)
    else:
        tries = host.tries + (turn is Turn.BUSY)
        desk.put(name, replace(rested, tries=tries))
        desk.again_later(name, max(tries, 2))


def _ended_badly(desk: Desk, name: str, host: HostState, found: Verdict) -> None:
    if found.turn is Turn.UNKNOWN:
        lost = host.phase is HostPhase.MISSING
        desk.put(name, host if lost else replace(host, phase=HostPhase.UNKNOWN))
        desk.tell(Said.HOST, name, "unknown", host.text)
    elif found.turn is Turn.MISSING:
        desk.put(name, host)
        lose(desk, name, host.text)
    else:
        kind = found.failed or FailKind.UNHEALTHY
        gone = kind in (FailKind.REVERTED, FailKind.WRONG_VERSION, FailKind.DRAIN)
        keeps = host.was_leased or kind is FailKind.DRAIN
        desk.put(name, replace(host, has_target=host.has_target and not gone, was_leased=keeps))
        fail(desk, name, kind, host.text)


# -- orders beside the way --------------------------------------------------------------------------------


def _disarmed(desk: Desk, news: OrderTold, host: HostState, found: Verdict) -> None:
    name = news.host
    if found.turn in (Turn.GOOD, Turn.ALREADY):
        waits = host.phase is HostPhase.STAGED or (host.phase is HostPhase.UNKNOWN and not host.was_leased)
        phase = HostPhase.PENDING if waits else host.phase
        clean = replace(host, phase=phase, is_armed=False, is_ours=host.has_target, disarms=0)
        desk.put(name, clean)
        desk.queue(name)
        return
    if found.turn is not Turn.AGAIN:
        host = replace(host, disarms=host.disarms + 1)
    desk.put(name, host)
    if disarm_later(desk, name):
        desk.tell(Said.HOST, name, "still armed", host.text)


def disarm_later(desk: Desk, name: str) -> bool:
    """Try again after a pause; whether it had all its tries."""
    host = desk.host(name)
    desk.again_later(name, max(host.disarms, 1))
    return host.disarms > 1


def _updates_set(desk: Desk, news: OrderTold, host: HostState, found: Verdict) -> None:
    """Switched off before anything else, or given back at the end."""
    name, gives_back = news.host, host.quiet is Quiet.OURS
    phase = HostPhase.PENDING if host.phase is HostPhase.PREFLIGHT else host.phase
    host = replace(host, phase=phase)
    if found.turn in (Turn.GOOD, Turn.ALREADY):
        off = Quiet.OURS if found.turn is Turn.GOOD else Quiet.FOUND_OFF
        desk.put(name, replace(host, quiet=Quiet.BACK if gives_back else off, tries=0))
        desk.tell(Said.HOST, name, "updates given back" if gives_back else "updates are off", host.text)
        desk.queue(name)
    elif found.turn is Turn.SKIP and not gives_back:
        desk.put(name, replace(host, phase=HostPhase.SKIPPED, skipped=found.skipped))
        desk.tell(Said.HOST, name, f"skipped: {found.skipped}", host.text)
    elif found.turn in _BACK_AGAIN and host.tries < MOST_TRIES:
        tries = host.tries + (found.turn is not Turn.AGAIN)
        desk.put(name, replace(host, tries=tries))
        desk.again_later(name, max(tries, 1))
    elif gives_back:
        desk.put(name, replace(host, quiet=Quiet.LEFT_OFF))
        desk.tell(Said.HOST, name, "its updates stay off", host.text)
    else:
        desk.put(name, host)
        fail(desk, name, FailKind.PREFLIGHT, f"its updates could not be switched off: {host.text}")


def _back(desk: Desk, news: OrderTold, host: HostState, found: Verdict) -> None:
    """Of a roll-back order of a rollout that rolls back."""
    name, before = news.host, host.phase_before or HostPhase.FAILED
    if found.turn in (Turn.GOOD, Turn.ALREADY):
        home = replace(host, phase=HostPhase.ROLLED_BACK, has_target=False, is_armed=False, phase_before=None)
        desk.put(name, home)
        desk.tell(Said.HOST, name, "rolled back", host.text)
    elif found.turn in _BACK_AGAIN and host.tries < MOST_TRIES:
        tries = host.tries + (found.turn in (Turn.BUSY, Turn.MOVED))
        desk.put(name, replace(host, phase=before, phase_before=None, tries=tries))
        if found.turn is Turn.AGAIN:
            desk.queue(name)
        else:
            desk.again_later(name, max(tries, 2))
    elif news.stage in (OrderStage.REFUSED, OrderStage.NOT_SENT):
        desk.put(name, replace(host, phase=before, phase_before=None, rollback_failed=True))
        desk.tell(Said.HOST, name, "not rolled back", host.text)
    else:
        desk.put(name, replace(host, rollback_failed=True, phase_before=None))
        _ended_badly(desk, name, desk.host(name), found)
