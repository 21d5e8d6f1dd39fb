"""The looks around an order on a live host: preflight, the slot's proof, the last lines of the boot before.

Source of each section: `actions.remote.preflight`, `actions.remote.slot_proof`, `actions.remote.aftermath`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from actions.remote.aftermath import AFTERMATH_ARGV, LINES
from actions.remote.preflight import JOURNAL_BYTES, PREFLIGHT_ARGV
from actions.remote.slot_proof import PROOF_ARGV
from actions.remote.words import Exit
from collectors.facts import SlotName
from collectors.probe import _JOURNAL_LINES, PROBE_VERSION
from console.demo import files, tools
from console.demo.live import logs
from console.demo.live.body import Body, Call, Program, Running
from console.demo.live.host_files import REBOOT_REQUIRED, RESET
from console.demo.live.kinds import Reply
from console.demo.live.machine import Machine
from console.demo.live.order_channel import pieces
from console.demo.live.order_conf import NOTE, UNIT, foreign, held, masked_for_good
from console.demo.live.order_run import FOLDER, Run, conf_of, is_order, unit_of
from console.demo.live.shell import root_hash
from console.demo.world import JournalLine, SimulatedHost, hex_of

_MARK = re.compile(r"[A-Za-z0-9@-]{8,100}", re.ASCII)
_LONGEST_LINE = 200
_BLOCK = 4096
_MIB = 1024 * 1024
_CONF_BYTES, _LOG_BYTES, _ORDER_BYTES, _AFTERMATH_BYTES = 65536, 4096, 1000, 49152
_WHERE_DAMAGED = re.compile(r"Verification failed at position ([0-9]+)")
_LOGIND = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
_BEGINS = ("]: Start", " Engine starting")


def scripts() -> Mapping[str, Program]:
    return {PREFLIGHT_ARGV[4]: _preflight, PROOF_ARGV[4]: _proof, AFTERMATH_ARGV[4]: _aftermath}


class _Answer:
    """The probe's frame."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._count = 0
        self._out = f"{mark} V {PROBE_VERSION} 0\n".encode()

    def add(self, name: str, found: bytes | str, status: int = 0) -> None:
        text = found.encode("utf-8", "surrogateescape") if isinstance(found, str) else found
        self._out += f"{self._mark} B {name}\n".encode() + text + f"\n{self._mark} E {status}\n".encode()
        self._count += 1

    def reply(self, host: SimulatedHost) -> Reply:
        """The whole, or half of it where the host's answers end in the middle."""
        whole = self._out + f"{self._mark} Z {self._count}\n".encode()
        return Reply(whole[: len(whole) // 2] if host.is_cut_off else whole)


def _lines(call: Call, count: int) -> list[str] | None:
    """The first lines of stdin, the mark among them; None where they are not in their form."""
    found = list(pieces(call.stdin, _LONGEST_LINE))[:count]
    return found if len(found) == count and _MARK.fullmatch(found[0]) else None


# -- preflight -----------------------------------------------------------------------------------


def _preflight(body: Body, call: Call) -> Reply:
    asked = _lines(call, 2)
    if asked is None or not (asked[1] == "-" or is_order(asked[1])):
        return Reply(exit_status=int(Exit.MALFORMED))
    mark, order = asked
    run, answer = Run(body, call, "", frozenset()), _Answer(mark)
    run.order = order
    if order != "-":
        shown = "LoadState,ActiveState,SubState,Result,ExecMainStatus"
        answer.add("unit", run.do("systemctl", "show", "-p", shown, unit_of(order)).stdout)
        log = run.files.read(run.path("log"))
        answer.add("log", (log or b"")[-_LOG_BYTES:], 1 if log is None else 0)
    _journals(body.machine, answer)
    answer.add("boot", _boot(body))
    held_by = run.do("busctl", "--system", "--timeout=5", "--json=short", "call", *_LOGIND, "ListInhibitors")
    answer.add("inhibitors", held_by.stdout, held_by.exit_status)
    answer.add("updater", b"", 0 if body.updater_runs else 1)
    _order_and_conf(run, answer)
    answer.add("locksmithd", _locksmithd(run))
    marks = {path: run.has(path) for path in (REBOOT_REQUIRED, RESET)}
    marks["/sys/fs/cgroup/cgroup.controllers"] = not body.machine.faults.cgroup_v1
    answer.add("marks", "".join(f"{path}\t{int(is_there)}\n" for path, is_there in marks.items()))
    answer.add("var_tmp", f"{_space(body.machine.state, '/')}\n")
    return answer.reply(body.machine.state)


def _journals(machine: Machine, answer: _Answer) -> None:
    shown = machine.state.overrides.get("journal")
    if shown is None:
        answer.add("journal", _journal(machine, machine.state.journal))
    else:
        answer.add("journal", b"part\n" + shown.content[-JOURNAL_BYTES:], shown.exit_status)
    if machine.boots and machine.state.running is not None:
        answer.add("before", _journal(machine, machine.earlier_journal))


def _journal(machine: Machine, journal: tuple[JournalLine, ...]) -> bytes:
    """The lines that tell of updates, and whether the first line of all is the updater's first."""
    lines = [tools.journal_line(machine.state, line) for line in journal]
    words = _JOURNAL_LINES.split("|")
    text = "".join(line for line in lines if any(word in line for word in words)).encode().rstrip(b"\n")
    is_whole = bool(lines) and any(begin in lines[0] for begin in _BEGINS) and len(text) <= JOURNAL_BYTES
    return (b"whole\n" if is_whole else b"part\n") + (text + b"\n")[-JOURNAL_BYTES:]


def _space(host: SimulatedHost, mount: str) -> str:
    """`stat -f -c "%S %b %a"`."""
    use = host.disks[mount]
    return f"{_BLOCK} {use.size_bytes // _BLOCK} {use.available_bytes // _BLOCK}"


def _boot(body: Body) -> str:
    """What is in /boot; looking wakes its automount."""
    body.touch_boot()
    host = body.machine.state
    mount = "/boot" if body.has_boot else "/"
    fstype = "unmounted" if mount == "/" else host.disks[mount].fstype
    text = f"mount\t{fstype}\nspace\t{_space(host, mount)}\n"
    for slot in SlotName if body.has_boot else ():
        size = _kernel_bytes(body, slot)
        text += "" if size is None else f"/boot/flatcar/vmlinuz-{slot.lower()}\t{size}\n"
    return text + ("first_boot\t1\n" if host.first_boot_armed and body.has_boot else "")


def _kernel_bytes(body: Body, slot: SlotName) -> int | None:
    """Size of the kernel beside a slot; each release has its own. None: there is none."""
    found = root_hash(body, slot)
    if found is None:
        return None
    most = (34 if body.machine.state.hardware.has_small_slots else 57) * _MIB
    return most + int(hex_of("kernel", found, digits=5), 16)


def _order_and_conf(run: Run, answer: _Answer) -> None:
    shown = run.machine.state.overrides.get("order")
    order = run.files.read(f"{FOLDER}/order") if shown is None else shown.content
    told = b"" if order is None else order[:_ORDER_BYTES] + b"now=%d\n" % run.machine.wall.timestamp()
    answer.add("order", told, 1 if order is None else 0)
    conf = conf_of(run.body)
    answer.add("conf", (conf or b"")[:_CONF_BYTES], 1 if conf is None else 0)
    digest = "" if conf is None else f"{hashlib.sha256(conf).hexdigest()}  -\n"
    answer.add("conf_sum", digest, 1 if conf is None else 0)


def _locksmithd(run: Run) -> str:
    fixed = "mask" if masked_for_good(run) else "file" if foreign(run) else "absent"
    text = f"run\t{'mask' if held(run) else 'absent'}\netc\t{fixed}\n"
    note = run.read(NOTE)
    if note is not None:
        owners = [line[6:] for line in note.split("\n") if line.startswith("order=")]
        text += f"held_by\t{' '.join(owners)}\n"
    active = run.do("systemctl", "is-active", UNIT).stdout.decode().strip()
    return f"{text}active\t{active}\n"


# -- proof ---------------------------------------------------------------------------------------


def _proof(body: Body, call: Call) -> Reply | Running:
    body.touch_boot()
    asked = _lines(call, 2)
    if asked is None or asked[1] not in ("A", "B"):
        return Reply(exit_status=int(Exit.MALFORMED))
    mark, slot = asked[0], SlotName(asked[1])
    run = Run(body, call, "", frozenset())
    why = _unproved(run, slot)
    if why is not None:
        return Reply(f"{mark} proof unproved {why}\n".encode())
    return _verified(run, mark, slot)


def _unproved(run: Run, slot: SlotName) -> str | None:
    """Why nothing can be compared; None: it can."""
    if run.machine.state.running is None:
        return "no-such-slot"
    running = run.running()
    if running is None:
        return "running-slot-unknown"
    if running == slot:
        return "slot-runs"
    return "no-root-hash" if root_hash(run.body, slot) is None else None


def _verified(run: Run, mark: str, slot: SlotName) -> Running:
    """Reads the slot as it is when the reading ends."""
    state = run.machine.state
    wanted, mine = root_hash(run.body, slot), files.usr_hash(state)
    device = state.hardware.partition(3 if slot is SlotName.A else 4)
    yield run.machine.timing.verify
    found = run.do("veritysetup", "verify", device, device, wanted or "")
    if found.exit_status != 0:
        where = _WHERE_DAMAGED.search(found.stderr.decode())
        word = f"damaged {where[1]}" if where else f"unproved veritysetup-{found.exit_status}"
    elif wanted == mine:
        word = "same-as-running"
    else:
        word = f"intact {run.machine.state.slot(slot).version}"
    return Reply(f"{mark} proof {word}\n".encode())


# -- aftermath -----------------------------------------------------------------------------------


def _aftermath(body: Body, call: Call) -> Reply:
    asked = _lines(call, 1)
    if asked is None:
        return Reply(exit_status=int(Exit.MALFORMED))
    machine, answer = body.machine, _Answer(asked[0])
    status = 0 if machine.boots and machine.state.running is not None else 1
    for name, units in (("journal", None), ("updater", logs.UNITS)):
        lines = logs.lines_before(machine, units)[-LINES:] if status == 0 else []
        answer.add(name, "".join(lines).encode()[-_AFTERMATH_BYTES:], status)
    return answer.reply(machine.state)
