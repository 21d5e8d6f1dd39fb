"""Finds and reads the fleet file, and everything that hangs on where it lies.

`database_in` is for commands that trust what the store knows of the same bytes, `load_fleet` for all that
need the fleet itself, `targets` for those that ask hosts: each imports and reads more than the one before.
Blocking: callers on an event loop use a thread.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collectors.errors import ConfigError
from collectors.fleet_keys import database_of, name_of

if TYPE_CHECKING:
    from collectors.fleet_model import Fleet
    from collectors.targets import ResolvedTargets

FILE_NAME = "fleet.toml"
VARIABLE = "FLEETCTL_FLEET"
_TABLE = re.compile(rb"^[ \t]*\[", flags=re.MULTILINE)
_PLAIN = re.compile(
    rb"""[ \t]*(?:([a-z_]+)[ \t]*=[ \t]*"([ !#-\[\]-~]*)"[ \t]*)?(?:#[^\x00-\x08\x0a-\x1f\x7f-\xff]*)?"""
)
_MAX_BYTES = 16 * 1024 * 1024
_NETWORK_FILE_SYSTEMS = frozenset(
    (
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "fuse.ceph",
        "fuse.ceph-fuse",
        "glusterfs",
        "fuse.glusterfs",
        "lustre",
        "fuse.sshfs",
    )
)


@dataclass(frozen=True, slots=True)
class LoadedFleet:
    """A fleet and the file it comes from."""

    fleet: Fleet
    path: Path
    """Absolute."""
    digest: str
    """SHA-256 of the file's bytes, in hex."""
    database_path: Path
    """Absolute; it need not exist."""

    def beside(self, text: str) -> Path:
        """Absolute path of what the fleet file names: `~` expanded, relative ones beside the file."""
        return _beside(self.path, text)


def find_fleet_file(typed: str | Path | None, environ: Mapping[str, str], cwd: Path) -> Path:
    """Where the fleet file is: `--fleet`, else $FLEETCTL_FLEET, else ./fleet.toml, else the user's own.

    A place that is named must have it. Raises ConfigError with the places that were looked at.
    """
    named = [("--fleet", str(typed) if typed else ""), (f"${VARIABLE}", environ.get(VARIABLE, ""))]
    for source, text in named:
        if text:
            path = cwd / os.path.expanduser(text)
            if path.is_file():
                return path
            raise ConfigError(str(path), "", f"no such file; {source} names it")
    home = environ.get("HOME") or os.path.expanduser("~")
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    places = [cwd / FILE_NAME, Path(config, "fleetctl", FILE_NAME)]
    for path in places:
        if path.is_file():
            return path
    looked = ", ".join(str(place) for place in places)
    raise ConfigError(
        FILE_NAME,
        "",
        f"no fleet file: --fleet and ${VARIABLE} are not given, and there is none at {looked}. "
        "Write one with `fleetctl init`, or see one at work with `fleetctl demo`",
    )


def load_fleet(path: Path) -> LoadedFleet:
    """The fleet of a file. Raises ConfigError if it cannot be read, FleetFileInvalid if it is wrong."""
    import hashlib

    from collectors.inventory import parse_fleet  # `database_in` does without

    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(str(path), "", f"cannot be read: {error.strerror}") from error
    if len(content) > _MAX_BYTES:
        raise ConfigError(str(path), "", f"larger than {_MAX_BYTES} bytes: not a fleet file")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(str(path), f"line {line}", "not UTF-8 text") from error
    fleet = parse_fleet(text, file=str(path))
    absolute = path.absolute()
    return LoadedFleet(
        fleet=fleet,
        path=absolute,
        digest=hashlib.sha256(content).hexdigest(),
        database_path=_beside(absolute, fleet.database),
    )


def database_in(path: Path, content: bytes) -> Path | None:
    """Where the database of a fleet file is, from its bytes; None if that cannot be said.

    Reads only what stands before the first table, where TOML wants such keys, since a large file takes
    longer to parse than all else that a quick command does. Checks nothing: the file may be wrong.
    """
    head = _TABLE.split(content, maxsplit=1)[0]
    data = _plain(head) or _parsed(head)
    if data is None:
        return None
    name = data.get("name", name_of(str(path)))
    database = data.get("database", database_of(name))
    return _beside(path.absolute(), database) if isinstance(database, str) and database else None


def _plain(head: bytes) -> dict[str, Any] | None:
    """Lines of `key = "text"` and comments only, as nearly every file begins; None for anything else."""
    found = [_PLAIN.fullmatch(line) for line in head.splitlines()]
    if not all(found):
        return None
    pairs = [(item[1], item[2]) for item in found if item and item[1]]
    return {key.decode(): text.decode("ascii") for key, text in pairs}


def _parsed(head: bytes) -> dict[str, Any] | None:
    import tomllib

    try:
        return tomllib.loads(head.decode())
    except (ValueError, RecursionError):
        return None


def _beside(file: Path, text: str) -> Path:
    return Path(os.path.normpath(file.parent / os.path.expanduser(text)))


def targets(loaded: LoadedFleet, *, environ: Mapping[str, str] | None = None) -> ResolvedTargets:
    """A Target for each host, by name, with ssh_config resolved; and warnings about what was passed over.

    `environ` (default: the process's) tells home, login and agent. Raises ConfigError.
    """
    from collectors.targets import Operator, resolve_targets

    known = os.environ if environ is None else environ
    home = Path(known.get("HOME") or os.path.expanduser("~"))
    return resolve_targets(loaded.fleet, loaded.path, Operator(home, _login(known), known))


def _login(environ: Mapping[str, str]) -> str:
    import pwd  # unknown to Windows, where nothing here is tried

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a user id without an account, as in many containers
        return environ.get("LOGNAME") or environ.get("USER") or str(os.getuid())


def check_database_place(path: Path, *, mounts: Path = Path("/proc/self/mountinfo")) -> None:
    """Raises ConfigError if a database at `path` would be on a network file system.

    SQLite's locks and WAL need memory shared by all its users, and two machines share none. Where the
    system lists no mounts nothing is refused.
    """
    try:
        table = mounts.read_text(errors="surrogateescape")
    except OSError:
        return
    kind = _file_system(table, os.path.realpath(path))
    if kind in _NETWORK_FILE_SYSTEMS:
        raise ConfigError(
            str(path),
            "database",
            f"is on a network file system ({kind}), where SQLite can lose data; put it on a local disk",
        )


def _file_system(table: str, path: str) -> str | None:
    """Type of the file system that `path` is on: the longest mount point above it, of equal ones the last.

    Source of the fields: proc(5), /proc/PID/mountinfo.
    """
    kind, longest = None, -1
    for line in table.splitlines():
        before, _, after = line.partition(" - ")
        fields, types = before.split(" "), after.split(" ")
        if len(fields) < 5 or not types[0]:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
        is_above = path == point or path.startswith(point.rstrip("/") + "/")
        if is_above and len(point) >= longest:
            kind, longest = types[0], len(point)
    return kind
