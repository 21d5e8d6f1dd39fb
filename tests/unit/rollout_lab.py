"""A rollout played by hand or by a simulated fleet, in simulated time: the engine's part in tests."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

import msgspec

from actions.orders import Asked, Verb
from actions.rollout import advance, begin, is_over, may_issue
from actions.rollout_model import CohortPhase, GateVerdict, HostPhase, HostState, Rollout, RolloutState
from actions.rollout_plan import ActionKind, Now, Plan, PlanCohort, PlanHost, RolloutAction
from actions.rollout_talk import (
    AskGate,
    CallBack,
    Disarm,
    GateTold,
    GiveOrder,
    Input,
    Intent,
    LookAt,
    OrderStage,
    OrderTold,
    Request,
    RequestKind,
    Seen,
    Tell,
    Tick,
)

START = datetime(2026, 8, 18, 10, 0, tzinfo=UTC)
OLD, NEW = "4593.2.3", "4593.2.5"
RELEASE = RolloutAction(ActionKind.RELEASE, version=NEW)
NO_PLAN = Plan("r-0", "lab", RELEASE, (), (), 1)


def plan_of(*sizes: int, base: Plan = NO_PLAN, tolerances: Sequence[int] = (), soak_s: int = 3600) -> Plan:
    """A plan of cohorts of these sizes, hosts c0-0, c0-1, …, in zones a, b, c; the rest as in `base`."""
    hosts = tuple(
        PlanHost(f"c{number}-{place}", number, {"zone": "abc"[place % 3]}, f"m{number}-{place}", OLD)
        for number, size in enumerate(sizes)
        for place in range(size)
    )
    limits = (*tolerances, *(base.tolerance for _ in sizes))
    cohorts = tuple(
        PlanCohort("canary" if number == 0 else f"wave-{number}", soak_s, limits[number])
        for number in range(len(sizes))
    )
    return replace(base, id="r-1", hosts=hosts, cohorts=cohorts, snapshot="s-1", made_at=START)


def again(rollout: Rollout) -> Rollout:
    """As a restart finds it."""
    return msgspec.json.decode(msgspec.json.encode(rollout), type=Rollout)


@dataclass(slots=True)
class Lab:
    """One rollout. Child orders are open until they are told to end."""

    plan: Plan
    wall: datetime = START
    steady: datetime = START
    open: dict[str, tuple[str, Asked]] = field(default_factory=dict)
    """Host -> its open child order."""
    called_back: set[str] = field(default_factory=set)
    said: list[Tell] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)
    asked_gates: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    """Hosts whose reboot was sent."""
    inputs: int = 0
    r: Rollout = field(init=False)
    numbers: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.r = begin(self.plan, self.now)

    @property
    def now(self) -> Now:
        return Now(self.steady, self.wall)

    def host(self, name: str) -> HostState:
        return self.r.hosts[name]

    def stands(self) -> RolloutState:
        return self.r.state

    def phase(self, name: str) -> HostPhase:
        return self.r.hosts[name].phase

    def cohort(self, number: int) -> CohortPhase:
        return self.r.cohorts[number].phase

    def give(self, news: Input) -> tuple[Intent, ...]:
        self.inputs += 1
        self.r, intents = advance(self.plan, self.r, news, self.now)
        for intent in intents:
            self._take(intent)
        return intents

    def _take(self, intent: Intent) -> None:
        match intent:
            case GiveOrder(host, asked) | Disarm(host, asked):
                assert host not in self.open, f"two orders at once on {host}"
                self.open[host] = (f"o-{next(self.numbers)}", asked)
            case CallBack(host):
                self.called_back.add(host)
            case AskGate(gate):
                self.asked_gates.append(gate)
            case LookAt(host):
                self.looks.append(host)
            case Tell():
                self.said.append(intent)

    # -- what is told ---------------------------------------------------------------------------

    def ask(self, kind: RequestKind, reason: str = "a reason", *hosts: str) -> tuple[Intent, ...]:
        return self.give(Request(kind, "jo", reason, hosts))

    def start(self) -> Lab:
        self.ask(RequestKind.APPROVE)
        self.tick()
        return self

    def tick(self, seconds: float = 0) -> tuple[Intent, ...]:
        self.pass_s(seconds)
        return self.give(Tick())

    def pass_s(self, seconds: float) -> None:
        self.steady += timedelta(seconds=seconds)
        self.wall += timedelta(seconds=seconds)

    def tell(self, host: str, stage: OrderStage, code: str = "", text: str = "") -> tuple[Intent, ...]:
        """Of the open order of a host; an end closes it. A reboot is sent only if it may."""
        order_id, asked = self.open[host]
        if stage is OrderStage.ISSUED and asked.verb.reboots:
            assert may_issue(self.plan, self.r, host, self.now) is None
            self.sent.append(host)
        if stage.is_end:
            del self.open[host]
            self.called_back.discard(host)
        return self.give(OrderTold(host, order_id, asked.verb, stage, code, text))

    def see(self, host: str, well: bool | None = True, version: str = NEW, boot: str = "b-1") -> None:
        self.give(Seen(host, well, version, boot, "" if well else "kubelet is not ready"))

    def gate(self, name: str, verdict: GateVerdict) -> None:
        self.give(GateTold(name, verdict, "sha256:0"))

    # -- longer ways ------------------------------------------------------------------------------

    def stage(self, *hosts: str) -> None:
        for host in hosts:
            self.tell(host, OrderStage.PLANNED)
            self.tell(host, OrderStage.ISSUED)
            self.tell(host, OrderStage.DONE, "staged")

    def send(self, host: str) -> None:
        for stage in (OrderStage.PLANNED, OrderStage.LEASED, OrderStage.ISSUED, OrderStage.AWAITING):
            self.tell(host, stage)

    def activate(self, *hosts: str) -> None:
        """Up to its confirmation."""
        for host in hosts:
            self.send(host)
            self.tell(host, OrderStage.DONE, "activated")

    def settle(self, *hosts: str) -> None:
        self.pass_s(self.plan.settle_s)
        for host in hosts:
            self.see(host)

    def turn(self, *hosts: str) -> None:
        for host in hosts:
            self.activate(host)
            self.settle(host)

    def all_well(self) -> None:
        """Every look that was wanted, answered well."""
        looks, self.looks = self.looks, []
        for host in dict.fromkeys(looks):
            self.see(host)

    def pass_cohort(self, number: int) -> None:
        """A cohort without gates, from its staging to PASSED, in the order of the turns that it is given."""
        names = [own.name for own in self.plan.by_cohort[number]]
        self.stage(*(name for name in names if name in self.open))
        while turns := [name for name in names if name in self.open]:
            self.activate(*turns)
            self.settle(*turns)
        self.soak(number)

    def soak(self, number: int) -> None:
        self.tick(self.plan.cohorts[number].soak_s)
        self.all_well()


# -- a simulated fleet -----------------------------------------------------------------------------------


class Fate:
    """What a release does to a host after its boot."""

    GOOD, REVERTS, VANISHES, BREAKS = "good", "reverts", "vanishes", "breaks"


@dataclass(slots=True)
class Fleet:
    """Plays the engine and all hosts until the rollout is over, halted, or `most_s` have passed."""

    lab: Lab
    fate: Callable[[str], str]
    tick_s: float = 20.0
    breaks_after_s: float = 1800.0
    booted: dict[str, datetime] = field(default_factory=dict)
    harmed: set[str] = field(default_factory=set)
    _events: list[tuple[datetime, int, Callable[[], object]]] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)
    _known: dict[str, str] = field(default_factory=dict)

    def run(self, most_s: float = 400 * 3600.0) -> None:
        lab, until = self.lab, self.lab.steady + timedelta(seconds=most_s)
        lab.start()
        self._pick_up()
        next_tick = lab.steady
        while lab.steady < until and not self._is_at_rest():
            at = self._events[0][0] if self._events else datetime.max.replace(tzinfo=UTC)
            if at <= next_tick:
                _, _, event = heapq.heappop(self._events)
                self._go_to(at)
                event()
            else:
                self._go_to(next_tick)
                lab.give(Tick())
                next_tick = lab.steady + timedelta(seconds=self.tick_s)
            self._pick_up()

    def _is_at_rest(self) -> bool:
        halted = self.lab.r.state is RolloutState.HALTED
        return is_over(self.lab.r) or (halted and not self.lab.open and not self._events)

    def _go_to(self, at: datetime) -> None:
        if at > self.lab.steady:
            self.lab.pass_s((at - self.lab.steady).total_seconds())

    def _after(self, seconds: float, event: Callable[[], object]) -> None:
        at = self.lab.steady + timedelta(seconds=seconds)
        heapq.heappush(self._events, (at, next(self._numbers), event))

    def _pick_up(self) -> None:
        """Begin the child orders that are new, and answer the looks."""
        lab = self.lab
        for host, (order_id, asked) in list(lab.open.items()):
            if self._known.get(host) != order_id:
                self._known[host] = order_id
                self._begin(host, asked)
        looks, lab.looks = lab.looks, []
        for host in looks:
            self._look(host)

    def _look(self, host: str) -> None:
        begun = self.booted.get(host)
        up_s = (self.lab.steady - begun).total_seconds() if begun else 0.0
        ill = self.fate(host) == Fate.BREAKS and up_s >= self.breaks_after_s
        self._after(1, lambda: self.lab.see(host, not ill))

    def _begin(self, host: str, asked: Asked) -> None:
        lab = self.lab
        if asked.verb is Verb.ACTIVATE:
            self._after(2, lambda: self._issue(host))
        else:
            code = "staged" if asked.verb is Verb.STAGE else "cancelled"
            self._after(1, lambda: lab.tell(host, OrderStage.PLANNED))
            self._after(90, lambda: lab.tell(host, OrderStage.DONE, code))

    def _issue(self, host: str) -> None:
        lab = self.lab
        if may_issue(lab.plan, lab.r, host, lab.now) is not None:
            lab.tell(host, OrderStage.NOT_SENT, "called-back")
            return
        lab.tell(host, OrderStage.LEASED)
        lab.tell(host, OrderStage.ISSUED)
        self._after(5, lambda: lab.tell(host, OrderStage.AWAITING))
        fate = self.fate(host)
        if fate in (Fate.REVERTS, Fate.VANISHES, Fate.BREAKS):
            self.harmed.add(host)
        ends: dict[str, tuple[float, OrderStage, str]] = {
            Fate.REVERTS: (300, OrderStage.FAILED, "reverted"),
            Fate.VANISHES: (1200, OrderStage.UNKNOWN, "missing"),
        }
        after_s, stage, code = ends.get(fate, (150, OrderStage.DONE, "activated"))
        if stage is OrderStage.DONE:
            self.booted[host] = lab.steady + timedelta(seconds=60)
        self._after(after_s, lambda: lab.tell(host, stage, code, code))
