"""cgpt and rootdev on a disk in Flatcar's layout.

Sources: flatcar/seismograph:src/cgpt/*.c,src/rootdev@7ac56da; layout: flatcar/scripts:build_library/
disk_layout.json@ab6d76d.
"""

from __future__ import annotations

from dataclasses import dataclass

from collectors.facts import SlotName
from console.demo.live import flags
from console.demo.live.body import Body, Call, failed
from console.demo.live.kinds import Reply, What
from console.demo.world import PARTUUIDS, SimulatedHost, uuid_of

_USR = "5DFBF5F4-2848-4BAC-AA5E-0D9A20B745A6"
_TYPES = {
    "EFI-SYSTEM": ("EFI System Partition", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"),
    "BIOS-BOOT": ("BIOS Boot Partition", "21686148-6449-6E6F-744E-656564454649"),
    "USR-A": ("Alias for coreos-rootfs", _USR),
    "USR-B": ("Alias for coreos-rootfs", _USR),
    "OEM": ("Alias for linux-data", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"),
    "OEM-CONFIG": ("CoreOS reserved", "C95DC21A-DF0E-4340-8D7B-26CBFA9A03E0"),
    "ROOT": ("CoreOS auto-resize", "3884DD41-8582-4404-B9A8-E9B84F2DF50E"),
}
_NUMBERS = {1: "EFI-SYSTEM", 2: "BIOS-BOOT", 3: "USR-A", 4: "USR-B", 6: "OEM", 7: "OEM-CONFIG", 9: "ROOT"}
_SIZES = {1: 2097152, 2: 4096, 3: 4194304, 4: 4194304, 6: 2097152, 7: 131072, 9: 3653632}
_SMALL = {1: 262144, 2: 4096, 3: 2097152, 4: 2097152, 6: 262144, 7: 131072, 9: 4427776}
_MOST = 128
_TITLE = f"{'start':>12}{'size':>12}{'part':>8}  contents\n"
_PAD = " " * 34
_SHORT = {"p": "prioritize"}
_COMMANDS = ("show", "add", "prioritize", "repair", "find", "next", "boot", "create")
_USAGE = "\nUsage: cgpt COMMAND [OPTIONS] DRIVE\n\nSupported COMMANDs:\n\n"


@dataclass(frozen=True, slots=True)
class Options:
    """An argument vector of cgpt: single letters, some with a value."""

    values: dict[str, str]
    drives: tuple[str, ...]


def cgpt(body: Body, call: Call) -> Reply:
    """Run cgpt. `next` writes: it takes a try of the slot it names."""
    host = body.machine.state
    name = call.args[0] if call.args else ""
    command = _SHORT.get(name, name)
    if command not in _COMMANDS:
        return Reply((_USAGE + "".join(f"    {item}\n" for item in _COMMANDS)).encode(), b"", 1)
    options = _options(call.args[1:])
    if "h" in options.values:
        return Reply(f"\nUsage: cgpt {command} [OPTIONS] DRIVE\n".encode())
    if command == "next":
        return _next(body, call)
    if command == "find":
        return _find(host, options)
    if not options.drives:
        return failed(f"ERROR: cgpt {name}: missing drive argument\n")
    drive = options.drives[0]
    number = _partition_of(host, drive)
    if number is None or host.running is None:
        text = f"ERROR: cgpt {name}: unable to access device {drive}: No such file or directory\n"
        return failed(text)
    if call.uid != 0:
        return failed(f"ERROR: cgpt {name}: unable to access device {drive}: Permission denied\n")
    asked = options.values.get("i", "") or (str(number) if number else "")
    if asked and not (asked.isdigit() and int(asked) <= _MOST):
        return failed(f"ERROR: cgpt {name}: invalid partition number: {asked}\n")
    if command == "show":
        return _show(host, options, int(asked or 0))
    return _change(body, name, command, options, int(asked or 0))


def _options(words: tuple[str, ...]) -> Options:
    """Letters with their values, in the same word or the next; `show -S` has none, `add -S 1` has."""
    values: dict[str, str] = {}
    drives = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or len(word) < 2:
            drives.append(word)
            continue
        letter, value = word[1], word[2:]
        if not value and rest and (letter == "i" or rest[0].isdigit()):
            value = rest.pop(0)
        values[letter] = value
    return Options(values, tuple(drives))


def _partition_of(host: SimulatedHost, drive: str) -> int | None:
    """0 for the disk, else the partition's number; None: no such device."""
    if drive == f"/dev/{host.hardware.disk}":
        return 0
    for number, label in _NUMBERS.items():
        uuid = _uuid(host, number).lower()
        names = (f"/dev/disk/by-partlabel/{label}", f"/dev/disk/by-partuuid/{uuid}")
        if drive in (host.hardware.partition(number), *names):
            return number
    return None


# -- show ----------------------------------------------------------------------------------------


def _uuid(host: SimulatedHost, number: int) -> str:
    label = _NUMBERS[number]
    if label.startswith("USR-"):
        return PARTUUIDS[SlotName(label[-1])].upper()
    return uuid_of(host.name, "partition", number).upper()


def _slot(number: int) -> SlotName | None:
    return {3: SlotName.A, 4: SlotName.B}.get(number)


def _word(host: SimulatedHost, number: int) -> int:
    """The attribute word: successful in bit 56, tries from 52, priority from 48."""
    name = _slot(number)
    if name is None:
        return 4 if number == 1 else 0
    slot = host.slot(name)
    return int(slot.successful) << 56 | slot.tries << 52 | slot.priority << 48


def _start(host: SimulatedHost, number: int) -> tuple[int, int]:
    sizes = _SMALL if host.hardware.has_small_slots else _SIZES
    start = 4096 + sum(size for other, size in sizes.items() if other < number)
    return start, sizes[number]


def _entry(host: SimulatedHost, number: int, *, numeric: bool = False) -> str:
    label, (start, size) = _NUMBERS[number], _start(host, number)
    kind, guid = _TYPES[label]
    text = f'{start:12}{size:12}{number:8}  Label: "{label}"\n{_PAD}Type: {guid if numeric else kind}\n'
    text += f"{_PAD}UUID: {_uuid(host, number)}\n"
    name = _slot(number)
    if numeric:
        text += f"{_PAD}Attr: 0x{_word(host, number):016x}\n"
    elif name is not None:
        slot = host.slot(name)
        shown = f"priority={slot.priority} tries={slot.tries} successful={int(slot.successful)}"
        text += f"{_PAD}Attr: {shown}\n"
    elif number == 1:
        text += f"{_PAD}Attr: Legacy BIOS Bootable\n"
    return text


def _show(host: SimulatedHost, options: Options, number: int) -> Reply:
    given = options.values
    if number and number not in _NUMBERS:
        return Reply(b"0\n" if set(given) & set("PTS") else b"")
    if number:
        name = _slot(number)
        slot = host.slot(name) if name else None
        start, size = _start(host, number)
        single = {
            "b": str(start),
            "s": str(size),
            "t": _TYPES[_NUMBERS[number]][1],
            "u": _uuid(host, number),
            "l": _NUMBERS[number],
            "S": str(int(slot.successful if slot else 0)),
            "T": str(slot.tries if slot else 0),
            "P": str(slot.priority if slot else 0),
            "A": f"{_word(host, number):#x}",
        }
        for letter, text in single.items():
            if letter in given:
                return Reply(f"{text}\n".encode())
        return Reply((_TITLE + _entry(host, number, numeric="n" in given)).encode())
    if "q" in given:
        rows = ((*_start(host, item), item, _TYPES[label][0]) for item, label in _NUMBERS.items())
        return Reply("".join(f"{a:12}{b:12}{c:8}  {kind}\n" for a, b, c, kind in rows).encode())
    last, size = _start(host, 9)
    end = last + size
    text = _TITLE + f"{0:12}{1:12}          Hybrid MBR\n{1:12}{1:12}          Pri GPT header\n"
    text += f"{2:12}{32:12}          Pri GPT table\n"
    text += "".join(_entry(host, item, numeric="n" in given) for item in _NUMBERS)
    text += f"{end:12}{32:12}          Sec GPT table\n{end + 32:12}{1:12}          Sec GPT header\n"
    return Reply(text.encode())


# -- change --------------------------------------------------------------------------------------


def _change(body: Body, shown: str, command: str, options: Options, number: int) -> Reply:
    machine = body.machine
    if command in ("repair", "boot", "create"):
        return Reply()
    name = _slot(number)
    if command == "prioritize":
        if name is None:
            return failed(f"ERROR: cgpt {shown}: partition {number} is not a Flatcar root\n")
        flags.prioritize(machine, name)
    else:
        wanted = {letter: options.values[letter] for letter in "STP" if letter in options.values}
        limits = {"S": 1, "T": flags.HIGHEST, "P": flags.HIGHEST}
        for letter, value in wanted.items():
            if not value.isdigit() or int(value) > limits[letter]:
                return failed(f"ERROR: cgpt {shown}: value out of range for -{letter}: {value}\n")
        if name is None:
            return Reply() if not wanted else failed(f"ERROR: cgpt {shown}: not a bootable partition\n")
        flags.add(
            machine,
            name,
            successful=bool(int(wanted["S"])) if "S" in wanted else None,
            tries=int(wanted["T"]) if "T" in wanted else None,
            priority=int(wanted["P"]) if "P" in wanted else None,
        )
    machine.record(What.GPT_CHANGED, " ".join((command, str(name))))
    return Reply()


def _next(body: Body, call: Call) -> Reply:
    if call.uid != 0:
        return failed("ERROR: cgpt next: unable to access device: Permission denied\n")
    chosen = flags.take_try(body.machine)
    if chosen is None:
        return failed("ERROR: cgpt next: no bootable partition found\n")
    body.machine.record(What.GPT_CHANGED, f"next {chosen}")
    return Reply(f"{PARTUUIDS[chosen]}\n".encode())


def _find(host: SimulatedHost, options: Options) -> Reply:
    """Names without the `p` that NVMe needs before the number."""
    label, kind = options.values.get("l", ""), options.values.get("t", "")
    rest = [item for item in options.drives if not item.startswith("/dev/")]
    wanted = rest[0] if rest else ""
    found = [
        number
        for number, name in _NUMBERS.items()
        if ("l" in options.values and name in (label, wanted))
        or (
            "t" in options.values
            and name.startswith("USR-")
            and {kind, wanted} & {"flatcar-usr", "coreos-usr", "coreos-rootfs"}
        )
    ]
    if host.running is None or not found:
        return Reply(b"", b"", 1)
    names = [
        str(number) if "n" in options.values else f"/dev/{host.hardware.disk}{number}" for number in found
    ]
    return Reply("".join(f"{name}\n" for name in names).encode())


def rootdev(body: Body, call: Call) -> Reply:
    """Which partition holds a path; only /usr and / are asked for."""
    host = body.machine.state
    letters = {letter for word in call.args if word.startswith("-") for letter in word[1:]}
    paths = [word for word in call.args if not word.startswith("-")] or ["/"]
    if paths[0] not in ("/", "/usr"):
        return failed(f"rootdev: Cannot stat({paths[0]}): No such file or directory\n")
    if host.running is None:
        return failed("rootdev: Cannot stat(tmpfs): No such file or directory\n")
    if "d" in letters:
        return Reply(f"/dev/{host.hardware.disk}\n".encode())
    number = 9 if paths[0] == "/" else 3 if host.running is SlotName.A else 4
    return Reply(f"{host.hardware.partition(number)}\n".encode())
