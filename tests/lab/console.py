"""What a console does with orders, for tests on booted hosts: look, send, wait for the unit's end."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256

from actions.orders import Guard
from actions.remote.extra import Extra, UnitFile, parse_extra
from actions.remote.order import Order, Reply, VerbText, Word, read_reply
from actions.remote.preflight import PREFLIGHT_COMMAND, preflight_stdin
from actions.remote.slot_proof import PROOF_COMMAND, Proof, proof_stdin, read_proof
from tests.lab import control
from tests.lab.client import Lab, SlotFlags
from tests.lab.machine import host_named

MARK = "mark-0123"
CONF_PATH = "/etc/flatcar/update.conf"
ODD_CONF = (
    b"# PCR_SERVER=kept\r\n\nGROUP=stable\n  indented = 1 \nREBOOT_STRATEGY=reboot\n"
    b"X=\xff\xfe\t\r\n# no end\r"
)
"""A DOS line end, a comment that names a server, odd spacing, bytes that are no UTF-8, no last newline."""


@contextmanager
def beside(story: Callable[[Lab], None], lab: Lab) -> Iterator[Future[None]]:
    """Run a story on a host of its own beside the tests that follow; its result raises what it raised."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(story, lab)


def words(flags: SlotFlags) -> str:
    """As `cgpt show` prints them, and a guard compares them."""
    return f"priority={flags.priority} tries={flags.tries} successful={flags.successful}"


@dataclass(frozen=True, slots=True)
class Console:
    """One host, as a console that sends orders to it sees it."""

    lab: Lab
    host: str

    @classmethod
    def of_fresh(cls, lab: Lab, host: str, conf: bytes = ODD_CONF) -> Console:
        """The host as new, with this update.conf and locksmithd started with it."""
        lab.reinstall(host)
        console = cls(lab, host)
        console.write(conf)
        return console

    # --- look

    def look(self, order: str | None = None) -> Extra:
        done = self.lab.exchange(self.host, PREFLIGHT_COMMAND, preflight_stdin(MARK, order).encode())
        seen = parse_extra(done.stdout, MARK, salt=b"salt")
        assert seen.complete, (done.stdout, done.stderr)
        return seen

    def guard(self) -> Guard:
        """Slot flags from the disk itself, not from the host's words."""
        flags = self.lab.table(self.host)
        operation = f"UPDATE_STATUS_{self.lab.operation(self.host)}"
        digest = sha256(self.conf()).hexdigest()
        return Guard(self.boot_id, words(flags["A"]), words(flags["B"]), operation, digest)

    @property
    def boot_id(self) -> str:
        return self.lab.boot_id(self.host) or ""

    def conf(self) -> bytes:
        return self.lab.exchange(self.host, f"cat {CONF_PATH}", b"").stdout

    def proof(self, slot: str) -> Proof:
        done = self.lab.exchange(self.host, PROOF_COMMAND, proof_stdin(MARK, slot).encode(), timeout_s=60)
        return read_proof(done.stdout, MARK, done.returncode)

    def held(self) -> str | None:
        """The order that holds locksmithd by a mask in /run; None: no such mask, and it may run."""
        target = self.lab.run(self.host, "readlink /run/systemd/system/locksmithd.service").stdout.strip()
        note = self.lab.run(self.host, "sudo cat /run/fleetctl/locksmithd").stdout
        assert (target == "/dev/null") == note.startswith("order="), (target, note)
        return note.splitlines()[0].removeprefix("order=") if note else None

    def locksmithd(self) -> str:
        return self.lab.run(self.host, "systemctl is-active locksmithd").stdout.strip()

    # --- act

    def root(self, script: str, stdin: bytes = b"") -> str:
        """Run a script as root; its stdout. Fails the test where it fails."""
        done = self.lab.exchange(self.host, f"sudo -n bash -c {shlex.quote(script)}", stdin)
        assert done.returncode == 0, (script, done.stderr)
        return done.stdout.decode().strip()

    def write(self, conf: bytes) -> None:
        self.root(f"cat >{CONF_PATH}; systemctl restart locksmithd", conf)

    def send(
        self, text: VerbText, values: Mapping[str, str], order: str, *, follows: str | None = None,
        lasts_s: int = 300, guard: Guard | None = None,
    ) -> Reply:  # fmt: skip
        stdin = self.stdin(text, values, order, follows=follows, lasts_s=lasts_s, guard=guard)
        done = self.lab.exchange(self.host, text.command, stdin)
        return read_reply(done.stdout, order)

    def stdin(
        self, text: VerbText, values: Mapping[str, str], order: str, *, follows: str | None = None,
        lasts_s: int = 300, guard: Guard | None = None,
    ) -> bytes:  # fmt: skip
        asked = Order(order, "jo", "ops-1", lasts_s, follows)
        return text.stdin(asked, guard or self.guard(), values).encode()

    def over(self, order: str, timeout_s: float = 60.0) -> Extra:
        """The look at which the order's unit has ended."""
        seen = [self.look(order)]

        def ended() -> bool:
            seen.append(self.look(order))
            return seen[-1].unit is not None and seen[-1].unit.is_over

        self.lab.wait(ended, f"the end of {order}", timeout_s)
        return seen[-1]

    def done(
        self, text: VerbText, values: Mapping[str, str], order: str, follows: str | None = None
    ) -> Extra:
        """Send, and look when it is over."""
        reply = self.send(text, values, order, follows=follows)
        assert reply.word is Word.STARTED, reply
        return self.over(order)

    def booted(self, before: str) -> None:
        """Wait for the next boot; nothing of an order is left in it."""
        self.lab.wait_booted(self.host, other_than=before)
        assert self.lab.run(self.host, "ls -A /run/fleetctl").returncode != 0
        seen = self.look()
        assert (seen.order, self.held()) == (None, None)
        assert seen.locksmithd is not None
        assert seen.locksmithd.runtime is UnitFile.ABSENT

    def sent_and_cut(self, text: VerbText, stdin: bytes) -> None:
        """Send an order over a channel that is cut as soon as all of it was written."""
        argv = [*control.ssh_command(host_named(self.host)), text.command]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            process.stdin.write(stdin)
            process.stdin.flush()
            process.kill()
