"""update.conf and locksmithd as orders change them, keep them and put them back.

The functions of `actions.remote.shell`'s CONFIG, KEEPING and LOCKSMITHD and of `actions.remote.conf`. A
simulated host's update.conf is a plain file: what the texts do about a link in its place never happens here.
"""

from __future__ import annotations

import re

from console.demo.live.host_files import CONF
from console.demo.live.lifecycle import RUNTIME_MASK
from console.demo.live.order_run import FOLDER, Run, conf_of

UNIT = "locksmithd.service"
NOTE = f"{FOLDER}/locksmithd"
_ETC = f"/etc/systemd/system/{UNIT}"
ANY = b""
DISABLED = rb"[\"']?disabled[\"']?\r?$"
LOCAL = rb"[\"']?https?://(localhost|127[.])"
"""What may follow `SERVER=` in a line that is dropped."""


def with_line(content: bytes, key: str, value: str) -> bytes:
    """The key set: its last line is replaced where it stands, its others go; else it is appended."""
    sign, lines = key.encode() + b"=", _lines(content)
    places = [place for place, line in enumerate(lines) if line.startswith(sign)]
    new = sign + value.encode()
    if not places:
        gap = b"\n" if content and not content.endswith(b"\n") else b""
        return content + gap + new + b"\n"
    end = b"\n" if lines[places[-1]].endswith(b"\n") else b""
    lines[places[-1]] = new + end
    return b"".join(line for place, line in enumerate(lines) if place not in places[:-1])


def without_lines(content: bytes, key: str, values: bytes = ANY) -> bytes:
    """Without the key's lines whose rest begins like this."""
    dropped = re.compile(re.escape(key.encode()) + b"=" + values)
    return b"".join(line for line in _lines(content) if not dropped.match(line.removesuffix(b"\n")))


def _lines(content: bytes) -> list[bytes]:
    pieces = content.split(b"\n")
    return [piece + b"\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def rewrite(run: Run, key: str, value: str, values: bytes = ANY) -> bool:
    """Set a key, or with `-` drop its lines; a full disk holds no copy, even of what stays the same."""
    content = conf_of(run.body)
    if run.machine.state.foreign_os is not None:
        return False
    if content is None:
        return value == "-" or run.write(CONF, with_line(b"", key, value))
    if run.files.room(CONF) == 0:
        return False
    if value != "-":
        return run.write(CONF, with_line(content, key, value))
    if not any(line.startswith(key.encode() + b"=") for line in _lines(content)):
        return True
    return run.write(CONF, without_lines(content, key, values))


def updates(run: Run, mode: str, server: str) -> bool:
    if mode != "on":
        return rewrite(run, "SERVER", "disabled")
    return rewrite(run, "SERVER", "-", DISABLED) if server == "-" else rewrite(run, "SERVER", server)


def keep_conf(run: Run) -> bool:
    run.remove(run.path("conf"), run.path("absent"), run.path("link"))
    content = conf_of(run.body)
    return run.write(run.path("absent"), b"") if content is None else run.write(run.path("conf"), content)


def restore_conf(run: Run) -> bool:
    """Harmless where nothing is kept."""
    kept = run.files.read(run.path("conf"))
    if kept is not None:
        if run.files.room(CONF) == 0 or not run.write(CONF, kept):
            return False
    elif run.has(run.path("absent")):
        run.remove(CONF)
    run.remove(run.path("conf"), run.path("absent"), run.path("link"))
    return True


def end_line(run: Run) -> bool:
    """End the last line, to which flatcar-update would append."""
    content = conf_of(run.body)
    return not content or content.endswith(b"\n") or run.write(CONF, content + b"\n")


# -- locksmithd ----------------------------------------------------------------------------------


def foreign(run: Run) -> bool:
    return masked_for_good(run) or run.has(_ETC)


def masked_for_good(run: Run) -> bool:
    return run.machine.unit(UNIT).file_state == "masked"


def held(run: Run) -> bool:
    """Whether a mask stands in /run."""
    return run.machine.unit(UNIT).file_state == RUNTIME_MASK


def hold(run: Run) -> bool:
    if foreign(run):
        return masked_for_good(run) and run.tell("locksmithd masked by others")
    if held(run):
        run.tell("locksmithd held already")
        return True
    was = run.do("systemctl", "is-active", UNIT).stdout.decode().strip()
    if not run.write(NOTE, f"order={run.order}\nwas={was}\n"):
        return False
    if run.text("systemctl", "mask", "--runtime", "--now", UNIT) is None or _is_active(run):
        return False
    return held(run) and run.tell("locksmithd held")


def give_back(run: Run, digest: str) -> bool:
    """Only where it cannot reboot the host; `-`: whatever update.conf is."""
    note = run.read(NOTE)
    if note is None:
        run.tell("locksmithd not ours")
        return True
    for holds, why in (
        ((slot := run.running()) is not None and run.next() == slot, "locksmithd stays held: next boot"),
        (run.operation() == "UPDATE_STATUS_IDLE", "locksmithd stays held: operation"),
        (digest in ("-", run.digest()), "locksmithd stays held: updates not as found"),
    ):
        if not holds:
            run.tell(why)
            return False
    if run.text("systemctl", "unmask", "--runtime", UNIT) is None:
        return False
    run.remove(NOTE)
    was = next((line[4:] for line in note.split("\n") if line.startswith("was=")), "")
    if was not in ("active", "activating", "reloading"):
        return run.tell("locksmithd given back, was not running")
    return run.text("systemctl", "start", UNIT) is not None and run.tell("locksmithd given back, started")


def _is_active(run: Run) -> bool:
    return run.text("systemctl", "is-active", "--quiet", UNIT) is not None
