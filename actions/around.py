"""What the console does around a reboot: the FleetLock taken, the host drained, and both given back.

Each is written down before it is done and after; what is written down as taken is given back on every way
out: by whoever took it, else by the next process that finds it. Only what we took is ever given back. Where a
host is not well after its reboot, lock and drain stay: that is how FleetLock tells everybody else to stop.
Protocol: zincati:docs/development/fleetlock/protocol.md.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from actions import fleetlock, hooks, taking_tables
from actions.engine import instant
from actions.fleetlock import LockWord
from actions.leases import living_owner
from actions.looking import Basis, Clock
from actions.order_tables import Moved
from actions.orderbook import Book
from actions.orders import Outcome, Phase, Placed, Step
from actions.record import Entry, Event
from actions.taking import Hold, Taken, What, filled, takes
from collectors import tables

LOCK_POLL_S = 5.0
"""Between two tries for a lock that another host of the same order still has."""
ASKED_TRIES = 5
"""So often it is asked again while hosts of the same order ask too, and nobody is known to have it."""
TRIES = 3
"""To give something back; each is safe to repeat."""
RETRY_S = 5.0
LOCK_CODES = {
    LockWord.FULL: "lock-full",
    LockWord.UNREACHED: "lock-unreachable",
    LockWord.REFUSED: "lock-refused",
    LockWord.RELEASED: "lock-refused",
}


class Around:
    """Of one order: what is taken for its hosts, and given back."""

    def __init__(self, book: Book, order: Placed, basis: Basis, clock: Clock) -> None:
        self._book = book
        self._order = order
        self._basis = basis
        self._clock = clock
        self._salt = bytes.fromhex(tables.setting(book.conn, "salt") or "")

    @property
    def is_wanted(self) -> bool:
        fleet = self._basis.fleet
        return self._order.asked.verb.reboots and takes(fleet.hooks, fleet.fleetlock)

    def taken(self, host: str) -> list[Taken]:
        return taking_tables.takings(self._book.conn, [host])

    # -- taking -------------------------------------------------------------------------------

    async def take(self, host: str, step: Step) -> Outcome | None:
        """Lock and drain. None: both are done; else why the host is not to be rebooted, all given back.

        Raises order_tables.Moved where another order does the same now.
        """
        left = await self._adopt(host)
        if left:
            return _not_sent("not-given-back", f"what an earlier order took for it is still taken: {left}")
        problem = await self._lock(host, step) or await self._drain(host)
        if problem is None:
            return None
        left = await self.give_back(host)
        return replace(problem, text=f"{problem.text}; {left}") if left else problem

    async def _adopt(self, host: str) -> str | None:
        """Give back what an order that nobody carries out any more took."""
        for taken in self.taken(host):
            name = Placed(taken.order_id, self._clock.now(), self._order.asked, self._order.actor).lease_name
            if taken.order_id != self._order.id and living_owner(self._book.conn, name) is not None:
                raise Moved(f"{taken.order_id} prepares a reboot of {host}")
        return await self.give_back(host)

    async def _lock(self, host: str, step: Step) -> Outcome | None:
        lock = self._basis.fleet.fleetlock
        if lock is None:
            return None
        machine_id = step.machine_id or ""
        command = f"FleetLock pre-reboot group={lock.group} id={machine_id or '-'}"
        taken = self._begin(host, What.LOCK, command, machine_id)
        tries = 0
        while True:
            waits_for = self._others(host)
            answer = await fleetlock.pre_reboot(lock, machine_id)
            tries += 1
            waits_for |= self._others(host)
            if answer.word is not LockWord.FULL or not (
                Hold.HELD in waits_for or (waits_for and tries < ASKED_TRIES)
            ):
                break
            await self._clock.sleep(LOCK_POLL_S)
        match answer.word:
            case LockWord.TAKEN:
                self._end(replace(taken, state=Hold.HELD), "locked", answer.text)
                return None
            case LockWord.UNKNOWN:
                self._end(taken, "lock-unknown", answer.text)
                return _not_sent("lock-unknown", answer.text)
            case LockWord.RETAINED:
                text = f"{answer.text}: somebody else holds it for this machine, who would reboot it too"
                self._end(taken, "lock-held", text, is_over=True)
                return _not_sent("lock-held", text)
        code = LOCK_CODES[answer.word]
        self._end(taken, code, answer.text, is_over=True)
        return _not_sent(code, answer.text)

    def _others(self, host: str) -> set[Hold]:
        """How it stands with the lock for other hosts of this order: those that have it will give it back,
        those that ask for it may have it."""
        return {
            taken.state
            for taken in taking_tables.takings(self._book.conn)
            if taken.what is What.LOCK and taken.order_id == self._order.id and taken.host != host
        } & {Hold.HELD, Hold.ASKED}

    async def _drain(self, host: str) -> Outcome | None:
        wanted = self._basis.fleet.hooks
        if not wanted.before_reboot and not wanted.after_reboot:
            return None
        if not wanted.before_reboot:
            self._begin(host, What.DRAIN, None, state=Hold.HELD)
            return None
        where = self._basis.hosts[host]
        taken = self._begin(host, What.DRAIN, filled(wanted.before_reboot, where))
        end = await self._run(taken, wanted.before_reboot)
        code = "drained" if end.is_good else "drain-failed"
        self._end(replace(taken, state=Hold.HELD if end.is_good else Hold.ASKED), code, end.text, end.output)
        return None if end.is_good else _not_sent("drain-failed", f"not drained: {end.text}")

    async def _run(self, taken: Taken, words: tuple[str, ...]) -> hooks.HookEnd:
        argv = hooks.hook_argv(words, self._basis.hosts[taken.host], taken.order_id)

        def started(pid: int) -> None:
            with self._book.transaction():
                taking_tables.change_taking(
                    self._book.conn, replace(taken, mark=hooks.process_mark(pid), since=self._now())
                )

        return await hooks.run_hook(argv, timeout_s=hooks.HOOK_TIMEOUT_S, salt=self._salt, started=started)

    # -- giving back --------------------------------------------------------------------------

    async def give_back(self, host: str) -> str | None:
        """Give back all that was taken for a host; why something stays, in words.

        Raises tables.LeaseLost where another process has taken over: it does it then.
        """
        self._book.check()
        for taken in self.taken(host):
            problem = await self._return(taken)
            if problem is not None:
                self._keep(taken, problem)
                left = "left drained" if taken.what is What.DRAIN else "left locked"
                stays = [more.what for more in self.taken(host) if more.what is not taken.what]
                return f"{left}: {problem}" + ("; its FleetLock stays" if What.LOCK in stays else "")
        return None

    def keep(self, host: str, why: str) -> None:
        """Leave a host's lock and drain as they are, and say why."""
        for taken in self.taken(host):
            self._keep(taken, why)

    def _keep(self, taken: Taken, why: str) -> None:
        """The record hears of it once, however often it is tried."""
        text = f"{_NAMES[taken.what]} stays: {why}"
        is_news = taken.state is not Hold.KEPT or taken.text != why
        kept = replace(taken, state=Hold.KEPT, text=why, since=self._now())
        entries = [self._entry(taken, Event.OUTCOME, "kept", text)] if is_news else []
        self._book.note(entries, lambda conn: taking_tables.change_taking(conn, kept))

    async def _return(self, taken: Taken) -> str | None:
        """None: it is given back; else why not."""
        if taken.what is What.LOCK:
            return await self._unlock(taken)
        if taken.mark is not None and taken.state is Hold.ASKED:
            await hooks.end_left(taken.mark)
        words = self._basis.fleet.hooks.after_reboot
        if not words:
            self._end(taken, "undrained", "no hook is to be run after a reboot", is_over=True)
            return None
        command = filled(words, self._basis.hosts[taken.host])
        self._book.note([self._entry(taken, Event.INTENT, None, None, command=command)])
        problem = ""
        for number in range(TRIES):
            await self._pause(number)
            end = await self._run(taken, words)
            if end.is_good:
                self._end(taken, "undrained", end.text, end.output, is_over=True)
                return None
            problem = end.text
            self._end(taken, "undrain-failed", problem, end.output)
        return problem

    async def _unlock(self, taken: Taken) -> str | None:
        lock = self._basis.fleet.fleetlock
        if lock is None:
            return "the fleet file names no FleetLock any more"
        command = f"FleetLock steady-state group={lock.group} id={taken.machine_id or '-'}"
        self._book.note([self._entry(taken, Event.INTENT, None, None, command=command)])
        problem = ""
        for number in range(TRIES):
            await self._pause(number)
            answer = await fleetlock.steady_state(lock, taken.machine_id or "")
            if answer.word is LockWord.RELEASED:
                self._end(taken, "unlocked", answer.text, is_over=True)
                return None
            problem = answer.text
        self._end(taken, "unlock-failed", problem)
        return problem

    async def _pause(self, number: int) -> None:
        if number:
            await self._clock.sleep(RETRY_S * number)

    # -- the store ----------------------------------------------------------------------------

    def _now(self) -> str:
        return instant(self._clock.now())

    def _begin(
        self,
        host: str,
        what: What,
        command: str | None,
        machine_id: str | None = None,
        state: Hold = Hold.ASKED,
    ) -> Taken:
        """Written down before it is done."""
        taken = Taken(host, what, self._order.id, state, self._now(), machine_id or None)
        entries = [self._entry(taken, Event.INTENT, None, None, command=command)] if command else []
        self._book.note(entries, lambda conn: taking_tables.add_taking(conn, taken))
        return taken

    def _end(self, taken: Taken, code: str, text: str, output: str = "", *, is_over: bool = False) -> None:
        """Written down once it is done; `is_over`: nothing is taken any more."""
        made = replace(taken, since=self._now(), text=None)

        def change(conn: sqlite3.Connection) -> None:
            if is_over:
                taking_tables.drop_taking(conn, taken.host, taken.what)
            else:
                taking_tables.change_taking(conn, made)

        self._book.note([self._entry(taken, Event.OUTCOME, code, text, output)], change)

    def _entry(
        self,
        taken: Taken,
        event: Event,
        code: str | None,
        text: str | None,
        output: str = "",
        *,
        command: str | None = None,
    ) -> Entry:
        order = self._order
        return Entry(
            self._clock.now(),
            order.actor,
            order.asked.verb,
            event,
            host=taken.host,
            order=taken.order_id,
            command=command,
            outcome=str(taken.what) if event is Event.OUTCOME else None,
            code=code,
            text=text,
            evidence={"output": output} if output else None,
        )


_NAMES = {What.LOCK: "its FleetLock", What.DRAIN: "its drain"}


def _not_sent(code: str, text: str) -> Outcome:
    return Outcome(Phase.NOT_SENT, code, text)
