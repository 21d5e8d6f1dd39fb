"""The programs of a live host by name, sudo, and the few of coreutils that its visitors use on its files.

There is no shell here: `bash -c` is understood for one command, with the pipe to cat that keeps
flatcar-update's stderr on a pipe. Texts that are scripts are for whoever knows them (`Body.programs`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace

from collectors.facts import SlotName
from console.demo import files, tools
from console.demo.live import cgpt, client, flatcar_update, locksmith, systemd, transient
from console.demo.live.body import Body, Call, Program, Running, failed
from console.demo.live.flags import Content, content
from console.demo.live.host_files import HostFiles
from console.demo.live.kinds import Pending, Reply, Scope
from console.demo.world import PARTUUIDS, Extension

_PIPED = re.compile(
    r"(?:set -[a-z]+(?: pipefail)?;\s*)?(?P<command>[^|;&<>$`]+?)\s*(?:2>&1)?\s*(?:\|\s*cat)?\s*"
)
_DENIED = "Permission denied"
_MISSING = "No such file or directory"


def run(body: Body, argv: Sequence[str], *, uid: int, stdin: bytes) -> Reply | Pending:
    """Run a program: its reply, or what will hold it."""
    pending = Pending(Scope(body.machine.boot))
    found = start(body, Call(tuple(argv), uid, stdin, pending))
    if isinstance(found, Reply):
        return found

    def process() -> Running:
        reply = yield from found
        pending.reply = reply
        return reply

    body.machine.start(process(), pending.scope)
    return pending.reply or pending


def start(body: Body, call: Call) -> Reply | Running:
    """What a call does; a program that is not known is not installed."""
    if not call.argv:
        return Reply()
    name = call.argv[0].rpartition("/")[2]
    program = body.programs.get(name)
    if program is None or (body.machine.state.foreign_os is not None and name in _FLATCAR):
        return failed(f"bash: {call.argv[0]}: command not found\n", 127)
    return program(body, call)


def _with(call: Call, argv: Sequence[str], uid: int | None = None) -> Call:
    return Call(tuple(argv), call.uid if uid is None else uid, call.stdin, call.pending)


def _sudo(body: Body, call: Call) -> Reply | Running:
    argv = list(call.args)
    while argv and argv[0].startswith("-"):
        if argv.pop(0) == "--":
            break
    allowed = body.machine.state.has_sudo and not body.machine.faults.sudo_refused
    if call.uid != 0 and not allowed:
        return failed("sudo: a password is required\n")
    return start(body, _with(call, argv, 0)) if argv else failed("usage: sudo -h | -V\n")


def _bash(body: Body, call: Call) -> Reply | Running:
    if "-c" in call.args:
        text, *after = call.args[call.args.index("-c") + 1 :] or ("",)
        if text in body.scripts:
            return body.scripts[text](body, _with(call, after))
        found = _PIPED.fullmatch(text)
        if found:
            return start(body, _with(call, shlex.split(found["command"])))
    words = [word for word in call.args if not word.startswith("--")]
    if words and words[0].startswith("/"):
        return _script_file(body, _with(call, words))
    return failed("bash: only one plain command is understood here\n", 2)


def _script_file(body: Body, call: Call) -> Reply | Running:
    """`bash FILE ARGUMENT …`: a file with a text that is known."""
    content = HostFiles(body.machine).read(call.argv[0], call.uid)
    if content is None:
        return failed(f"/bin/bash: {call.argv[0]}: {_MISSING}\n", 127)
    script = body.scripts.get(content.decode("utf-8", "replace").removesuffix("\n"))
    return script(body, call) if script else failed(f"{call.argv[0]}: not understood here\n", 2)


def _exec(body: Body, call: Call) -> Reply | Running:
    return start(body, _with(call, call.args))


def _env(body: Body, call: Call) -> Reply | Running:
    """Environments mean nothing here."""
    words = list(call.args)
    while words and (words[0] == "-i" or "=" in words[0]):
        words.pop(0)
    return start(body, _with(call, words))


def _timeout(body: Body, call: Call) -> Reply | Running:
    words = list(call.args)
    while words and words[0].startswith("-"):
        option = words.pop(0)
        words = words[1:] if option in ("-k", "-s") else words
    if len(words) < 2:
        return failed("timeout: missing operand\n", 125)
    limit_s = float(re.sub(r"[^0-9.]", "", words[0]) or 0)
    inner = Pending(Scope(call.pending.scope))
    found = start(body, Call(tuple(words[1:]), call.uid, call.stdin, inner))
    return found if isinstance(found, Reply) else _limited(body, found, inner, call.pending, limit_s)


def _limited(body: Body, found: Running, inner: Pending, outer: Pending, limit_s: float) -> Running:
    def process() -> Running:
        inner.reply = yield from found
        return inner.reply

    body.machine.start(process(), inner.scope)
    ends_at = body.machine.now.timestamp() + limit_s
    while inner.reply is None and body.machine.now.timestamp() < ends_at:
        yield min(0.25, limit_s)
        outer.stdout, outer.stderr = inner.stdout, inner.stderr
    if inner.reply is not None:
        return inner.reply
    inner.kill()
    return Reply(inner.stdout, inner.stderr, 124)


# -- files ---------------------------------------------------------------------------------------


def _cat(body: Body, call: Call) -> Reply:
    return _read_all(body, call, [word for word in call.args if not word.startswith("-")], "cat")


def _sed(body: Body, call: Call) -> Reply:
    words = [word for word in call.args if word not in ("-n", "-E")]
    if words[:1] != ["p"]:
        return failed("sed: only `sed -n p FILE` is understood here\n", 2)
    return _read_all(body, call, words[1:], "sed")


def _read_all(body: Body, call: Call, paths: Sequence[str], name: str) -> Reply:
    if not paths:
        return Reply(call.stdin)
    out, err = b"", ""
    for path in paths:
        try:
            found = HostFiles(body.machine).read(path, call.uid)
        except PermissionError:
            err += f"{name}: {path}: {_DENIED}\n"
            continue
        if found is None:
            err += f"{name}: {path}: {_MISSING}\n"
        else:
            out += found
    return Reply(out, err.encode(), 1 if err else 0)


def _ls(body: Body, call: Call) -> Reply:
    folders = [word for word in call.args if not word.startswith("-")]
    lines: list[str] = []
    for folder in folders:
        lines += HostFiles(body.machine).paths(folder)
    return Reply("".join(f"{line}\n" for line in lines).encode())


def _rm(body: Body, call: Call) -> Reply:
    err = ""
    is_forced = any(word.startswith("-") and "f" in word for word in call.args)
    for path in (word for word in call.args if not word.startswith("-")):
        try:
            was_there = HostFiles(body.machine).remove(path, call.uid)
        except PermissionError:
            err += f"rm: cannot remove '{path}': {_DENIED}\n"
            continue
        if not was_there and not is_forced:
            err += f"rm: cannot remove '{path}': {_MISSING}\n"
    return Reply(b"", err.encode(), 1 if err else 0)


def _tee(body: Body, call: Call) -> Reply:
    for path in (word for word in call.args if not word.startswith("-")):
        try:
            HostFiles(body.machine).write(path, call.stdin, call.uid)
        except OSError as error:
            why = _DENIED if isinstance(error, PermissionError) else error.strerror
            return failed(f"tee: {path}: {why}\n")
    return Reply(call.stdin)


def _test(body: Body, call: Call) -> Reply:
    words = [word for word in call.args if word != "]"]
    if len(words) != 2 or words[0] not in ("-e", "-f", "-r"):
        return failed("test: only -e, -f and -r are understood here\n", 2)
    try:
        return Reply(exit_status=0 if HostFiles(body.machine).read(words[1], call.uid) is not None else 1)
    except PermissionError:
        return Reply(exit_status=1)


def _ln(body: Body, call: Call) -> Reply:
    """`ln -sfn IMAGE /etc/extensions/NAME.raw`: the link leads elsewhere, what is merged stays merged.

    An image that was written is its extension-release text here; another version of one that is there has
    the same metadata.
    """
    machine, words = body.machine, [word for word in call.args if not word.startswith("-")]
    if len(words) != 2 or not words[1].startswith("/etc/extensions/") or not words[1].endswith(".raw"):
        return failed("ln: only links of /etc/extensions are understood here\n", 2)
    if call.uid != 0:
        return failed(f"ln: failed to create symbolic link '{words[1]}': {_DENIED}\n")
    target, name = words[0], words[1].rpartition("/")[2].removesuffix(".raw")
    written = HostFiles(machine).read(target)
    kept = tuple(item for item in machine.state.extensions if item.name != name)
    found = next(
        (item for item in machine.state.extensions if item.name == name), Extension(name, target, "")
    )
    metadata = found.metadata if written is None else written.decode("utf-8", "replace")
    changed = replace(found, target=target, metadata=metadata)
    machine.state = replace(machine.state, extensions=(*kept, changed))
    return Reply()


def _readlink(body: Body, call: Call) -> Reply:
    state = body.machine.state
    lines = []
    for path in (word for word in call.args if not word.startswith("-")):
        target = path
        for name in SlotName:
            if path in (f"/dev/disk/by-partlabel/USR-{name}", f"/dev/disk/by-partuuid/{PARTUUIDS[name]}"):
                target = state.hardware.partition(3 if name is SlotName.A else 4)
        lines += [next((item.target for item in state.extensions if item.link == path), target)]
    return Reply("".join(f"{line}\n" for line in lines).encode())


def _veritysetup(body: Body, call: Call) -> Reply:
    """`veritysetup verify DATA HASH ROOT_HASH …`: whether the slot holds what this root hash is of."""
    words = [word for word in call.args if not word.startswith("-")]
    if words[:1] != ["verify"] or len(words) < 4:
        return failed("veritysetup: Unknown action.\n")
    state = body.machine.state
    names = {state.hardware.partition(3): SlotName.A, state.hardware.partition(4): SlotName.B}
    for name in SlotName:
        names[f"/dev/disk/by-partlabel/USR-{name}"] = name
    if words[1] not in names or call.uid != 0:
        return failed(f"Device {words[1]} does not exist or access denied.\n", 4)
    slot = state.slot(names[words[1]])
    if root_hash(body, names[words[1]]) == words[3] and content(slot) in (Content.INTACT, Content.COPY):
        return Reply()
    return failed("Verification failed at position 1146880.\nVerification of data area failed.\n", 2)


def root_hash(body: Body, name: SlotName) -> str | None:
    """The dm-verity root hash beside a slot's kernel in /boot; None: no kernel is there."""
    state = body.machine.state
    version = state.slot(name).version
    if version is None:
        # A download that was cut off wrote the old kernel's copy first: its hash is the running system's.
        return None if state.slot(name).intact else files.usr_hash(state)
    return files.usr_hash(replace(state, version=version))


def _small(body: Body, call: Call) -> Reply:
    match call.argv[0].rpartition("/")[2]:
        case "uname":
            return Reply(f"{body.machine.state.release.kernel}-flatcar\n".encode())
        case "id":
            return Reply(f"{call.uid}\n".encode())
        case "df":
            return Reply(tools.df(body.machine.state).content)
        case "hostname":
            return Reply(f"{body.machine.state.name}\n".encode())
        case "false":
            return Reply(exit_status=1)
    return Reply()


_FLATCAR = ("update_engine_client", "flatcar-update", "locksmithctl", "cgpt", "rootdev")


def programs() -> dict[str, Program]:
    """All of them."""
    found: dict[str, Program] = {
        "update_engine_client": client.update_engine_client,
        "busctl": client.busctl,
        "cgpt": cgpt.cgpt,
        "rootdev": cgpt.rootdev,
        "flatcar-update": flatcar_update.flatcar_update,
        "locksmithctl": lambda body, call: locksmith.locksmithctl(body.machine.state, call.args, call.uid),
        "systemctl": systemd.systemctl,
        "systemd-run": transient.systemd_run,
        "systemd-inhibit": transient.systemd_inhibit,
        "journalctl": transient.journalctl,
        "systemd-sysext": lambda body, call: body.sysexts.run(call.args, call.uid),
        "veritysetup": _veritysetup,
        "sudo": _sudo,
        "bash": _bash,
        "sh": _bash,
        "exec": _exec,
        "env": _env,
        "timeout": _timeout,
        "cat": _cat,
        "sed": _sed,
        "ls": _ls,
        "rm": _rm,
        "tee": _tee,
        "test": _test,
        "[": _test,
        "readlink": _readlink,
        "ln": _ln,
    }
    return found | dict.fromkeys(("uname", "id", "df", "hostname", "true", "false", "sync"), _small)
