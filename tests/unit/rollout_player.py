"""An engine that plays a rollout with random outcomes, requests, restarts and clocks, for property tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from actions.orders import Verb
from actions.rollout import may_issue
from actions.rollout_model import GateVerdict, HostPhase, Rollout, RolloutState
from actions.rollout_plan import ActionKind, NotAllowed, RolloutAction, SkipReason
from actions.rollout_requests import why_unapprovable
from actions.rollout_talk import (
    GateTold,
    GiveOrder,
    Input,
    Intent,
    OrderStage,
    OrderTold,
    Request,
    RequestKind,
    Seen,
    Tick,
)
from collectors.fleet_model import Gate, GateKind, GateMode, OnHalt, Window
from tests.unit.rollout_lab import NEW, NO_PLAN, OLD, RELEASE, Lab, again, plan_of

NIGHT = Window("night", tuple(range(7)), time(9, 30), 4 * 3600, "Europe/Berlin")
GATES = (
    Gate("errors", GateKind.PROMETHEUS, None, url="http://p", query="up", for_s=60, tries=2),
    Gate("look", GateKind.PERSON, "canary"),
    Gate("seen", GateKind.HTTP, None, url="http://o", mode=GateMode.OBSERVE),
)
REFUSED = ("called-back", "skipped", "window-shut", "lock-full", "moved", "rebooting", "unreachable")
REFUSED_FOR_GOOD = ("held", "quarantined", "extension-drop", "nothing-staged", "drain-failed")
STAGE_FAILS = ("failed", "wrong-version", "conf-changed", "activated-itself", "not-next")
TURN_FAILS = ("reverted", "unhealthy", "extension-missing", "did-not-reboot", "wrong-slot", "unconfirmed")
SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=3)
PASSED_OVER = st.sampled_from((0, 1, 30, 61, 301, 650, 1300, 1800, 3600, 90_000))
FORWARD = (Verb.ACTIVATE, Verb.CHANNEL)
AFTER_HALT = (RequestKind.RETRY_FAILED, RequestKind.ACCEPT_FAILURES, RequestKind.ROLL_BACK)
STARTED = {OrderStage.ISSUED, OrderStage.AWAITING, OrderStage.VERIFYING}


class Player(RuleBasedStateMachine):
    """Plays the engine. `issued` is its own account of reboots that were sent and not proved undone."""

    @initialize(
        sizes=SHAPES,
        budget=st.integers(1, 4),
        tolerance=st.integers(0, 3),
        canary=st.integers(0, 1),
        zones=st.booleans(),
        gates=st.booleans(),
        night=st.booleans(),
        on_halt=st.sampled_from(OnHalt),
        keep_staged=st.booleans(),
        quiet=st.booleans(),
        is_release=st.integers(0, 5).map(bool),
    )
    def plan_it(
        self,
        sizes: list[int],
        budget: int,
        tolerance: int,
        canary: int,
        zones: bool,
        gates: bool,
        night: bool,
        on_halt: OnHalt,
        keep_staged: bool,
        quiet: bool,
        is_release: bool,
    ) -> None:
        base = replace(
            NO_PLAN,
            action=RELEASE if is_release else RolloutAction(ActionKind.CHANNEL, channel="beta"),
            budget=budget,
            tolerance=tolerance,
            per_label={"zone": 1} if zones else {},
            gates=GATES if gates else (),
            windows=(NIGHT,) if night else (),
            on_halt=on_halt if is_release else OnHalt.HOLD,
            keep_staged=keep_staged,
        )
        plan = plan_of(*sizes, base=base, tolerances=(canary,), soak_s=900)
        hosts = list(plan.hosts)
        if zones:
            hosts = [replace(own, labels={"zone": "ab"[place % 2]}) for place, own in enumerate(hosts)]
        if quiet:
            hosts[-1] = replace(hosts[-1], moves_itself=True, quiets=True)
        if len(hosts) > 3:
            hosts[1] = replace(hosts[1], skipped=SkipReason.PINNED)
        self.lab = Lab(replace(plan, hosts=tuple(hosts)))
        assert why_unapprovable(self.lab.plan) is None
        self.stages: dict[str, OrderStage] = {}
        self.issued: set[str] = set()
        self.past: list[OrderTold] = []
        self.passes: dict[str, GateVerdict] = {}
        self.done_at: dict[str, datetime] = {}
        self.settling_at: dict[str, datetime] = {}
        self.answered = 0
        self.lab.ask(RequestKind.APPROVE)
        self.lab.tick()
        self.stages = dict.fromkeys(self.lab.open, OrderStage.PLANNED)
        self.before = self.lab.r

    # -- one step ----------------------------------------------------------------------------------

    def step(self, news: Input) -> tuple[Intent, ...]:
        self.before = self.lab.r
        intents = self.lab.give(news)
        for intent in intents:
            if isinstance(intent, GiveOrder):
                self.stages[intent.host] = OrderStage.PLANNED
        self.check_step(news, intents)
        return intents

    def check_step(self, news: Input, intents: tuple[Intent, ...]) -> None:
        """What must hold of it; `before` and the lab's state are on both sides of it."""
        raise NotImplementedError

    def check_issue(self, host: str, verb: Verb) -> None:
        """What must hold when a reboot is sent, right before it is told."""
        raise NotImplementedError

    def check_denied(self, kind: RequestKind, state: RolloutState) -> None:
        """What must hold of a request that was not allowed."""
        raise NotImplementedError

    @rule(seconds=PASSED_OVER)
    def time_passes(self, seconds: int) -> None:
        self.lab.pass_s(seconds)
        self.step(Tick())

    @rule()
    def looks_are_answered_well(self) -> None:
        looks, self.lab.looks = self.lab.looks, []
        for host in dict.fromkeys(looks):
            self.step(Seen(host, True, NEW, "b-1"))

    @rule(rounds=st.integers(1, 4), seconds=st.sampled_from((310, 640, 1250)))
    def all_goes_well_for_a_while(self, rounds: int, seconds: int) -> None:
        for _ in range(rounds):
            self.every_order_goes_well()
            self.time_passes(seconds)
            self.looks_are_answered_well()

    @rule(hours=st.sampled_from((-30, -2, -1, 1, 5, 26)))
    def the_wall_clock_jumps(self, hours: int) -> None:
        self.lab.wall += timedelta(hours=hours)

    @rule()
    def restart(self) -> None:
        """12, as far as it is pure: nothing is lost, and nothing is wanted twice."""
        found = again(self.lab.r)
        assert found == self.lab.r
        self.lab.r = found

    # -- child orders ----------------------------------------------------------------------------------

    @precondition(lambda self: self.lab.open)
    @rule(data=st.data())
    def an_order_goes_on(self, data: st.DataObject) -> None:
        host = data.draw(st.sampled_from(sorted(self.lab.open)))
        verb = self.lab.open[host][1].verb
        began = self.stages.get(host, OrderStage.PLANNED) in STARTED
        if host in self.lab.called_back and not began:
            self.tell(host, OrderStage.NOT_SENT, "called-back")
        elif not began:
            choices = [OrderStage.PLANNED, OrderStage.LEASED, OrderStage.DRAINING]
            choices += [OrderStage.ISSUED] * 6 + [OrderStage.NOT_SENT, OrderStage.ALREADY]
            self.before_it_is_sent(host, data.draw(st.sampled_from(choices)), data)
        else:
            good = [OrderStage.AWAITING, OrderStage.VERIFYING] if verb.reboots else []
            ends = [*good, *[OrderStage.DONE] * 6, OrderStage.FAILED, OrderStage.UNKNOWN, OrderStage.NOT_SENT]
            self.after_it_is_sent(host, data.draw(st.sampled_from(ends)), data)

    @rule()
    def every_order_goes_well(self) -> None:
        for host in sorted(self.lab.open):
            if host in self.lab.called_back and self.stages.get(host) not in STARTED:
                self.tell(host, OrderStage.NOT_SENT, "called-back")
            elif self.stages.get(host) in STARTED or self.issue(host):
                self.tell(host, OrderStage.DONE, "staged")

    @precondition(lambda self: self.turns())
    @rule(data=st.data(), code=st.sampled_from((*TURN_FAILS, "missing", "incomplete")))
    def a_turn_ends_badly(self, data: st.DataObject, code: str) -> None:
        host = data.draw(st.sampled_from(self.turns()))
        if self.stages.get(host) in STARTED or self.issue(host):
            unknown = code in ("missing", "incomplete")
            self.tell(host, OrderStage.UNKNOWN if unknown else OrderStage.FAILED, code)

    def turns(self) -> list[str]:
        """Hosts that have their turn, and were not called back."""
        lab = self.lab
        return sorted(
            host
            for host, (_, asked) in lab.open.items()
            if asked.verb in FORWARD and host not in lab.called_back
        )

    def before_it_is_sent(self, host: str, stage: OrderStage, data: st.DataObject) -> None:
        if stage is OrderStage.ISSUED:
            self.issue(host)
        elif stage is OrderStage.NOT_SENT:
            code = data.draw(st.sampled_from(REFUSED * 3 + REFUSED_FOR_GOOD))
            self.tell(host, data.draw(st.sampled_from((stage, OrderStage.REFUSED))), code)
        else:
            self.tell(host, stage)

    def after_it_is_sent(self, host: str, stage: OrderStage, data: st.DataObject) -> None:
        fails = STAGE_FAILS if self.lab.open[host][1].verb is Verb.STAGE else TURN_FAILS
        code = ""
        if stage is OrderStage.FAILED:
            code = data.draw(st.sampled_from(fails))
        elif stage is OrderStage.UNKNOWN:
            code = data.draw(st.sampled_from(("missing", "incomplete")))
        elif stage is OrderStage.NOT_SENT:
            code = "not-arrived"
        self.tell(host, stage, code)

    def issue(self, host: str) -> bool:
        """Commit the intent, as the engine does: asked in the same breath. What may not be sent ends."""
        verb, r = self.lab.open[host][1].verb, self.lab.r
        if verb in (*FORWARD, Verb.ROLL_BACK):
            why = may_issue(self.lab.plan, r, host, self.lab.now)
            if why is not None:
                assert why.strip()
                self.tell(host, OrderStage.NOT_SENT, "budget-used")
                return False
            self.check_issue(host, verb)
        self.tell(host, OrderStage.ISSUED)
        return True

    def tell(self, host: str, stage: OrderStage, code: str = "") -> None:
        order_id, asked = self.lab.open[host]
        if stage in STARTED:
            self.stages[host] = stage
        if stage.is_end:
            del self.lab.open[host]
            self.lab.called_back.discard(host)
            self.stages.pop(host, None)
            if stage in (OrderStage.NOT_SENT, OrderStage.REFUSED):
                self.issued.discard(host)
        news = OrderTold(host, order_id, asked.verb, stage, code, f"told {code}")
        self.past.append(news)
        self.step(news)

    @precondition(lambda self: self.past)
    @rule(data=st.data())
    def an_old_message_comes_again(self, data: st.DataObject) -> None:
        news = data.draw(st.sampled_from(self.past[-30:]))
        self.step(Tick())
        host, was = self.lab.host(news.host), self.lab.r
        if news.host in self.lab.open and self.lab.open[news.host][0] == news.order_id:
            return
        if news.order_id not in (host.order_id, *host.past_orders):
            return
        if host.phase in (HostPhase.UNKNOWN, HostPhase.MISSING):
            return  # a later look may settle what nobody knew
        self.step(news)
        assert self.lab.r == was

    # -- looks, gates, people ---------------------------------------------------------------------------

    @rule(data=st.data())
    def a_look(self, data: st.DataObject) -> None:
        host = data.draw(st.sampled_from(sorted(self.lab.plan.by_name)))
        well = data.draw(st.sampled_from((True, True, True, False, None)))
        phase = self.lab.phase(host)
        usual = OLD if phase in (HostPhase.PENDING, HostPhase.STAGED) else NEW
        version = data.draw(st.sampled_from((usual,) * 30 + (OLD, NEW, "4600.0.0")))
        boot = data.draw(st.sampled_from(("b-1",) * 20 + ("b-2",)))
        self.step(Seen(host, well, version, boot, "kubelet"))

    @precondition(lambda self: self.lab.asked_gates)
    @rule(verdict=st.sampled_from((*[GateVerdict.PASS] * 4, *GateVerdict)))
    def a_gate_answers(self, verdict: GateVerdict) -> None:
        gate = self.lab.asked_gates.pop(0)
        self.passes[gate] = verdict
        self.step(GateTold(gate, verdict, "sha256:1", "because"))

    @rule(
        kind=st.sampled_from((RequestKind.PAUSE, RequestKind.RESUME, RequestKind.RESUME, *RequestKind)),
        data=st.data(),
    )
    def a_person_asks(self, kind: RequestKind, data: st.DataObject) -> None:
        if kind in (RequestKind.ABORT, RequestKind.ROLL_BACK) and data.draw(st.integers(0, 15)):
            return
        names = sorted(self.lab.plan.by_name)
        hosts = (data.draw(st.sampled_from(names)),) if kind is RequestKind.RELEASE_HOST else ()
        state = self.lab.r.state
        try:
            self.step(Request(kind, "jo", "a reason", hosts))
        except NotAllowed:
            self.check_denied(kind, state)
            return
        if state is RolloutState.HALTED and kind in AFTER_HALT:
            self.forget_retried()

    @precondition(lambda self: self.lab.r.state is RolloutState.HALTED)
    @rule(kind=st.sampled_from(AFTER_HALT))
    def a_halt_is_answered(self, kind: RequestKind) -> None:
        try:
            self.step(Request(kind, "jo", "a reason"))
        except NotAllowed:
            return
        self.forget_retried()

    def forget_retried(self) -> None:
        """A person asked for their step once more."""
        self.answered += 1
        was = self.before.hosts
        self.issued -= {name for name, host in was.items() if host.phase.is_failure and not host.is_accepted}


def changed(before: Rollout, after: Rollout) -> list[str]:
    return [name for name, host in after.hosts.items() if host is not before.hosts[name]]
