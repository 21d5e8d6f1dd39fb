"""One run of an order's text on a live host: its variables, and the shell functions that all verbs have.

Functions are named and answer as those of `actions.remote.order` and `actions.remote.shell`: a status that is
not 0 is False or None here, `exit N` is `Exited(N)`. Programs are asked through the host's own, so what a
fault does to them it does here too. Nothing here takes time.
"""

from __future__ import annotations

import hashlib
import re
from typing import NoReturn

from actions.remote.words import ORDER, Exit
from console.demo.live.body import Body, Call
from console.demo.live.host_files import CONF, HostFiles
from console.demo.live.kinds import Pending, Reply, Scope
from console.demo.live.shell import start

FOLDER = "/run/fleetctl"
SLOT = "/dev/disk/by-partlabel/USR-"
_FLAGS = re.compile(r"priority=([0-9]+) tries=([0-9]+) successful=([01])")
_OPERATION = re.compile(r'"(UPDATE_STATUS_[A-Z_]+)"')
_MANAGER = ("com.coreos.update1", "/com/coreos/update1", "com.coreos.update1.Manager")


class Exited(Exception):
    """The text said `exit`."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def unit_of(order: str) -> str:
    return f"fleetctl-{order}.service"


def is_order(text: str) -> bool:
    return re.fullmatch(ORDER.strip("^$"), text, flags=re.ASCII) is not None


def conf_of(body: Body) -> bytes | None:
    """update.conf as everybody on the host reads it; None: it is not there."""
    shown = body.machine.state.overrides.get("conf")
    return HostFiles(body.machine).read(CONF) if shown is None else shown.content


class Run:
    """`refuses`: the codes that the verb's text has; any other is a mistake here."""

    def __init__(self, body: Body, call: Call, verb: str, refuses: frozenset[str]) -> None:
        self.body = body
        self.machine = body.machine
        self.files = HostFiles(body.machine)
        self.call = call
        self.verb = verb
        self.refuses = refuses
        self.order = "-"
        self.owns = False
        """The order file is ours to remove."""
        self.values: dict[str, str] = {}

    # -- programs and files -------------------------------------------------------------------

    def do(self, *argv: str) -> Reply:
        """Run a program that takes no time."""
        found = start(self.body, Call(argv, 0, b"", Pending(Scope(self.call.pending.scope))))
        assert isinstance(found, Reply), f"{argv[0]} takes time"
        return found

    def text(self, *argv: str) -> str | None:
        """What a program says on stdout; None where it fails."""
        found = self.do(*argv)
        return found.stdout.decode("utf-8", "replace").rstrip("\n") if found.exit_status == 0 else None

    def path(self, suffix: str) -> str:
        """The order's own file of this kind."""
        return f"{FOLDER}/{self.order}.{suffix}"

    def read(self, path: str) -> str | None:
        found = self.files.read(path)
        return None if found is None else found.decode("utf-8", "surrogateescape")

    def has(self, path: str) -> bool:
        return self.files.read(path) is not None

    def write(self, path: str, content: bytes | str) -> bool:
        """Whether there was room for it."""
        data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        try:
            self.files.write(path, data)
        except OSError:
            return False
        return True

    def remove(self, *paths: str) -> None:
        for path in paths:
            self.files.remove(path)

    # -- talking ------------------------------------------------------------------------------

    def reply(self, words: str) -> None:
        self.call.pending.stdout += f"fleetctl {self.order} {words}\n".encode()

    def tell(self, words: str) -> bool:
        self.reply(words)
        return self.write(self.path("log"), (self.read(self.path("log")) or "") + f"{words}\n")

    def bad(self, key: str) -> NoReturn:
        self.reply(f"malformed {key}")
        raise Exited(Exit.MALFORMED)

    def refuse(self, code: str) -> NoReturn:
        assert code in self.refuses, f"{self.verb} knows no {code}"
        self.leave()
        self.tell(f"refused {code}")
        raise Exited(Exit.REFUSED)

    def held_by(self, key: str) -> str:
        """A value of the order file."""
        lines = (self.read(f"{FOLDER}/order") or "").split("\n")
        return next((line[len(key) + 1 :] for line in lines if line.startswith(f"{key}=")), "")

    def drop(self) -> None:
        if self.owns and self.held_by("order") == self.order:
            self.remove(f"{FOLDER}/order")

    def leave(self) -> None:
        """Give the host back to the order that this one replaced, if there was one."""
        before = self.read(self.path("before"))
        if self.owns and before is not None and self.held_by("order") == self.order:
            self.write(f"{FOLDER}/order", before)
            self.remove(self.path("before"))
        else:
            self.drop()

    def is_loaded(self, order: str) -> bool:
        return self.machine.unit(unit_of(order)).load == "loaded"

    def is_busy(self, order: str) -> bool:
        return self.machine.unit(unit_of(order)).sub not in ("dead", "exited", "failed")

    # -- what the host is ---------------------------------------------------------------------

    def flags(self, slot: str) -> str | None:
        found = _FLAGS.search(self.text("cgpt", "show", f"{SLOT}{slot}") or "")
        return found[0] if found else None

    def running(self) -> str | None:
        device = self.text("rootdev", "-s", "/usr")
        if device is None:
            return None
        return next((slot for slot in "AB" if self.text("readlink", "-e", f"{SLOT}{slot}") == device), None)

    def next(self) -> str | None:
        best, most = None, 0
        for slot in "AB":
            found = _FLAGS.fullmatch(self.flags(slot) or "")
            if found is None:
                return None
            priority, tries, successful = (int(number) for number in found.groups())
            if priority > most and tries + successful > 0:
                best, most = slot, priority
        return best

    def engine(self, method: str) -> str | None:
        return self.text("busctl", "--system", "--auto-start=no", "--timeout=3", "call", *_MANAGER, method)

    def operation(self) -> str | None:
        found = _OPERATION.search(self.engine("GetStatus") or "")
        return found[1] if found else None

    def digest(self) -> str:
        content = conf_of(self.body)
        return "absent" if content is None else hashlib.sha256(content).hexdigest()

    def set_flags(self, slot: str, flags: str) -> bool:
        found = _FLAGS.fullmatch(flags)
        if found is None:
            return False
        priority, tries, successful = found.groups()
        argv = ("cgpt", "add", f"-P{priority}", f"-T{tries}", f"-S{successful}", f"{SLOT}{slot}")
        return self.text(*argv) is not None and self.flags(slot) == flags

    def first(self, slot: str) -> bool:
        return self.text("cgpt", "prioritize", f"{SLOT}{slot}") is not None and self.next() == slot

    def updater(self) -> bool:
        return self.body.updater_runs
