"""update_engine: its life as a daemon, its states, its own checks.

Source of states, timers and what ends where: flatcar/update_engine:src/update_engine/{update_attempter,
update_check_scheduler,main}.cc@7382641; how long things take, and what is left behind, was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

from collectors.facts import Operation, SlotName, Unit
from console.demo.live import flags, words
from console.demo.live.kinds import Scope, What
from console.demo.live.machine import ENGINE_UNIT, Machine, Process
from console.demo.live.offer import Answer, Verdict, ask
from console.demo.live.postinst import postinst
from console.demo.world import Bus, Engine, SlotState

_DAY_S = 86400
_STEPS = 40
"""In which a download is shown to grow; the daemon's own are of 1 %."""
_DOWNLOAD_OPERATIONS = 1832
_GONE_RETRIES = 3
_PAYLOAD_FAULTS = {
    "bad-magic": (21, 0.02),
    "bit-flip": (29, 0.4),
    "bad-hash": (10, 1.0),
    "wrong-size": (11, 1.0),
    "unsigned": (17, 1.0),
    "bad-signature": (18, 1.0),
}
"""What is wrong with a payload -> code, and how far the download comes before it is noticed."""


@dataclass(frozen=True, slots=True)
class Failure:
    code: int
    http_status: int = 0


class UpdateEngine:
    """The daemon; `need_reboot` is called when it has staged an update."""

    def __init__(self, machine: Machine, need_reboot: Callable[[], None]) -> None:
        self._m = machine
        self._need_reboot = need_reboot
        self._scope = Scope(machine.boot)
        self._has_marked_good = True
        self.watchers: list[Callable[[], None]] = []
        """Called at each signal; those of an earlier daemon hear nothing more."""
        self._local: tuple[str, Scope] | None = None

    # -- life ---------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        return self._m.state.engine.bus is not Bus.ABSENT

    @property
    def local_offer(self) -> str | None:
        """What flatcar-update serves on localhost while it runs: a version."""
        return self._local[0] if self._local and not self._local[1].is_over else None

    def serve_locally(self, version: str | None, scope: Scope) -> None:
        self._local = (version, scope) if version else None

    @property
    def operation(self) -> Operation:
        return self._m.state.engine.operation

    def find_running(self) -> None:
        """Take over a daemon that ran before the simulation: what waits, and what is under way."""
        machine = self._m
        if not self.is_running:
            return
        up_s = machine.state.uptime_s(machine.now) - machine.timing.engine_starts
        self._has_marked_good = up_s >= machine.timing.mark_good
        if not machine.is_alive:
            return
        if not self._has_marked_good:
            machine.after(machine.timing.mark_good - up_s, self._scope, self.mark_good)
        if self.operation.overwrites_other_slot:
            machine.start(self._install(machine.state.engine.new_version), self._scope)
        first = machine.number("first check", int(machine.timing.check_every))
        machine.start(self._schedule(float(first)), self._scope)

    def start(self) -> None:
        """The daemon comes up, knowing of the past only the marker of a staged update."""
        machine = self._m
        self._scope.end()
        self._scope = Scope(machine.boot)
        self._has_marked_good = machine.state.staged_marker
        operation = Operation.NEED_REBOOT if machine.state.staged_marker else Operation.IDLE
        file_state = machine.unit(ENGINE_UNIT).file_state
        machine.set_unit(
            ENGINE_UNIT, Unit("loaded", "active", "running", file_state or "disabled", "success")
        )
        machine.state = replace(machine.state, engine=Engine(operation=operation))
        machine.say(*words.starting(machine.wall))
        if not self._has_marked_good:
            machine.after(machine.timing.mark_good, self._scope, self.mark_good)
        if machine.is_alive:
            first = machine.around(machine.timing.first_check, machine.timing.check_fuzz)
            machine.start(self._schedule(first), self._scope)

    def stop(self) -> None:
        """The daemon ends, whatever it was doing; what it wrote into the other slot stays there."""
        self._scope.end()
        self.watchers.clear()
        self._m.state = replace(self._m.state, engine=Engine(bus=Bus.ABSENT))

    def crash(self) -> None:
        """The daemon dies by itself; systemd starts it again, half a minute later."""
        machine = self._m
        self.stop()
        file_state = machine.unit(ENGINE_UNIT).file_state
        machine.set_unit(ENGINE_UNIT, Unit("loaded", "activating", "auto-restart", file_state, "exit-code"))
        self._scope = Scope(machine.boot)
        machine.after(machine.timing.engine_restarts, self._scope, self.start)

    def mark_good(self) -> None:
        """Call the running slot good, once in the daemon's life."""
        machine, running = self._m, self._m.state.running
        if self._has_marked_good or running is None:
            return
        self._has_marked_good = True
        is_news = not machine.state.slot(running).successful
        flags.mark_good(machine, running)
        if is_news:
            machine.record(What.CONFIRMED, f"{running} {machine.state.version}")

    # -- D-Bus --------------------------------------------------------------------------------

    def attempt_update(self) -> None:
        """AttemptUpdate: never an error, whatever is going on."""
        machine = self._m
        machine.say(*words.asked(machine.wall, interactive=True))
        if self.operation is Operation.NEED_REBOOT:
            machine.say(words.pinging(machine.wall))
        elif self.operation is not Operation.IDLE:
            machine.say(words.skipped(machine.wall, self.operation))
        else:
            machine.start(self._attempt(interactive=True), self._scope)

    def reset_status(self) -> bool:
        """ResetStatus: from idle or staged to idle. The slots and /run/reboot-required stay as they are."""
        machine = self._m
        if self.operation not in (Operation.IDLE, Operation.NEED_REBOOT):
            machine.say(
                words.complaint(machine.wall, "Reset not allowed in this state.", "update_attempter.cc:570")
            )
            return False
        if self.operation is Operation.NEED_REBOOT:
            engine = Engine(last_checked_at=machine.state.engine.last_checked_at)
            machine.state = replace(machine.state, engine=engine, staged_marker=False)
        return True

    # -- checks -------------------------------------------------------------------------------

    def _schedule(self, first_s: float) -> Process:
        machine, timing = self._m, self._m.timing
        wait, interval = first_s, timing.check_every
        while True:
            machine.say(words.next_check(machine.wall, wait))
            yield wait
            failure = yield from self._scheduled_check()
            is_asked_to_wait = failure is not None and failure.http_status in (500, 503)
            interval = min(2 * interval, timing.longest_interval) if is_asked_to_wait else timing.check_every
            interval = max(interval, machine.server.poll_interval_s)
            if failure is not None and is_asked_to_wait:
                machine.say(words.backs_off_after(machine.wall, failure.http_status))
            wait = machine.around(interval, timing.check_fuzz)

    def _scheduled_check(self) -> Generator[float, None, Failure | None]:
        machine = self._m
        if self.operation is Operation.NEED_REBOOT:
            machine.say(words.pinging(machine.wall))
        elif self.operation is not Operation.IDLE:
            machine.say(words.skipped(machine.wall, self.operation))
        else:
            return (yield from self._attempt(interactive=False))
        return None

    def _attempt(self, *, interactive: bool) -> Generator[float, None, Failure | None]:
        """A check, and the installation of what it is offered."""
        machine = self._m
        self._show(Operation.CHECKING)
        self._look_back()
        machine.say(words.group(machine.wall, machine.setting("GROUP", machine.state.group)))
        self.mark_good()
        answer = yield from ask(machine, self.local_offer, interactive=interactive)
        failure = self._refusal(answer)
        if failure is not None:
            yield from self._report(failure.code)
            return failure
        if answer.verdict in (Verdict.NOTHING, Verdict.OFFER):
            self._show(self.operation, last_checked_at=machine.wall.replace(microsecond=0))
            machine.record(What.CHECKED, answer.version or "nothing")
        if answer.version is None:
            machine.say(*words.nothing(machine.wall))
            self._show(Operation.IDLE)
            return None
        return (yield from self._install(answer.version))

    def _look_back(self) -> None:
        """The first check after an update's boot: its trace in prefs is read and emptied."""
        machine = self._m
        previous = machine.pref("previous-version")
        if previous and previous == machine.state.version:
            machine.say(words.reverted(machine.wall, previous))
        if machine.state.prefs is None or "aleph-version" not in machine.state.prefs:
            machine.set_prefs(aleph_version=machine.state.hardware.aleph_version)
        machine.set_prefs(previous_version="")

    def _refusal(self, answer: Answer) -> Failure | None:
        """Why an answer is no answer."""
        machine = self._m
        if answer.verdict is Verdict.INVALID:
            return Failure(answer.code, answer.http_status)
        if answer.verdict is Verdict.OFFER and not self.local_offer:
            expiry = machine.count_pref("backoff-expiry-time")
            if not machine.server.disables_backoff and expiry > machine.wall.timestamp():
                machine.say(words.offered(machine.wall, answer.version or ""))
                machine.say(
                    words.backing_off(
                        machine.wall, type(machine.wall).fromtimestamp(expiry, machine.wall.tzinfo)
                    )
                )
                return Failure(40)
        return None

    # -- installation -------------------------------------------------------------------------

    def _install(self, version: str) -> Generator[float, None, Failure | None]:
        """From UPDATE_AVAILABLE to NEED_REBOOT; the other slot is written from the first moment on."""
        machine = self._m
        running = machine.state.running
        if running is None:
            self._show(Operation.IDLE)
            return None
        target = running.other
        code = yield from self._fetch(version, target)
        if code is None:
            self._show(Operation.FINALIZING, progress=0.0)
            yield machine.timing.finalize
            code = postinst(machine, version, target)
        if code is not None:
            self._count_failure(code)
            yield from self._report(code)
            return Failure(code)
        yield machine.timing.report
        machine.set_prefs(previous_version=machine.state.version, delta_update_failures=0)
        machine.say(words.applied(machine.wall))
        machine.state = replace(machine.state, staged_marker=True)
        self._show(Operation.NEED_REBOOT)
        machine.record(What.STAGED, version)
        self._need_reboot()
        return None

    def _fetch(self, version: str, target: SlotName) -> Generator[float, None, int | None]:
        """Copy, then download over the copy; the code if it fails."""
        machine, faults = self._m, self._m.faults
        size = machine.server.payload_bytes
        began_at = machine.count_pref("update-state-next-operation")
        resumes = began_at > 0 and machine.pref("current-response-signature") == version
        machine.say(words.offered(machine.wall, version), words.plan(machine.wall, size, resumes=resumes))
        if self.operation not in (Operation.DOWNLOADING, Operation.FINALIZING):
            machine.record(What.ATTEMPT_BEGAN, version)
            self._show(Operation.AVAILABLE, new_version=version, new_size_bytes=size)
        if self.operation is Operation.FINALIZING:
            self._write(target, version, intact=True)
            return None
        if self.operation is Operation.AVAILABLE and not resumes:
            self._write(target, None, intact=False)
            machine.set_prefs(current_response_signature=version, update_state_next_operation=-1)
            yield machine.timing.copy
            if faults.boot_full:
                self._complain_of_boot()
                return 4
            self._write(target, machine.state.version, intact=False)
        return (yield from self._overwrite(version, target, began_at if resumes else 0))

    def _overwrite(self, version: str, target: SlotName, began_at: int) -> Generator[float, None, int | None]:
        """Download over the copy; the code if the payload is not what was announced."""
        machine, faults, payload = self._m, self._m.faults, self._m.server.payload
        if faults.payload_missing or (payload == "missing" and not self.local_offer):
            machine.say(words.http_error(machine.wall, 404))
            return 9
        payload = "bad-hash" if faults.bad_payload else payload
        code, part = _PAYLOAD_FAULTS.get(payload, (None, 1.0))
        is_local = self.local_offer is not None
        yield from self._download(target, began_at, part)
        if is_local and self.local_offer is None:
            machine.say(words.http_error(machine.wall, 0))
            return 9
        if part == 1.0:
            self._count_attempt()
        if code == 10:
            text = "payload_hash_data == install_plan_->payload_hash failed."
            machine.say(words.complaint(machine.wall, text))
        if code is None:
            self._write(target, version, intact=True)
        return code

    def _download(self, target: SlotName, began_at: int, part: float) -> Process:
        """Up to this part of the payload, from the operation that an earlier download came to."""
        machine, size = self._m, self._m.server.payload_bytes
        is_local = self.local_offer is not None
        self._write(target, None, intact=False)
        shown = round(machine.state.engine.progress * _STEPS)
        first = max(shown, began_at * _STEPS // _DOWNLOAD_OPERATIONS)
        for step in range(first, round(_STEPS * part)):
            self._show(Operation.DOWNLOADING, progress=step / _STEPS)
            machine.set_prefs(update_state_next_operation=step * _DOWNLOAD_OPERATIONS // _STEPS)
            if step % 4 == 0:
                machine.say(words.downloaded(machine.wall, size * step // _STEPS, size))
            yield machine.timing.download / _STEPS
            if is_local and self.local_offer is None:
                # flatcar-update, which served it, was killed: a few more tries, and the download has failed.
                yield _GONE_RETRIES * machine.timing.connect_retry
                return
        machine.set_prefs(update_state_next_operation=-1)

    def _write(self, target: SlotName, version: str | None, *, intact: bool) -> None:
        """The slot's content; its flags stay as they are."""
        slot: SlotState = self._m.state.slot(target)
        self._m.set_slot(target, replace(slot, version=version, intact=intact))

    def _complain_of_boot(self) -> None:
        machine, running = self._m, self._m.state.running
        mine = (running or SlotName.A).lower()
        other = (running or SlotName.A).other.lower()
        text = f"Failed to copy kernel from /boot/flatcar/vmlinuz-{mine} to /boot/flatcar/vmlinuz-{other}"
        machine.say(words.complaint(machine.wall, text, "kernel_copier_action.cc:50"))

    def _count_attempt(self) -> None:
        """A complete download counts; with backoff on, the next one has to wait."""
        machine = self._m
        number = machine.count_pref("payload-attempt-number") + 1
        expiry = 0
        if not machine.server.disables_backoff and self.local_offer is None:
            days = min(2 ** (number - 1), 16)
            expiry = int(machine.wall.timestamp() + machine.around(days * _DAY_S, 6 * 3600))
        machine.set_prefs(payload_attempt_number=number, backoff_expiry_time=expiry)

    def _count_failure(self, code: int) -> None:
        machine = self._m
        if code not in (9, 4):
            machine.set_prefs(delta_update_failures=machine.count_pref("delta-update-failures") + 1)
        machine.set_prefs(update_state_next_operation=-1, current_response_signature="")

    def _report(self, code: int) -> Process:
        machine = self._m
        machine.say(*words.failed(machine.wall, code))
        machine.record(What.ATTEMPT_FAILED, str(code))
        self._show(Operation.REPORTING_ERROR)
        yield machine.timing.report
        self._show(Operation.IDLE)

    def _show(self, operation: Operation, **values: object) -> None:
        """The D-Bus interface's new answer; progress only while downloading."""
        engine = self._m.state.engine
        if operation is Operation.IDLE:
            engine = Engine(bus=engine.bus, last_checked_at=engine.last_checked_at)
        elif operation is not Operation.DOWNLOADING:
            engine = replace(engine, progress=0.0)
        engine = replace(engine, operation=operation, **values)  # type: ignore[arg-type]
        self._m.state = replace(self._m.state, engine=engine)
        for heard in self.watchers:
            heard()
