"""A whole demo: its directory with fleet file, keys and feed, its addresses, and its server's life.

The directory belongs to the demo: what a demo wrote before is rewritten, a file that is somebody else's is
never touched. A console needs only its `fleet.toml`.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from collectors.errors import ConfigError
from console.demo.faults import PlannedFault
from console.demo.feed import releases_json
from console.demo.fleet_life import Clock, FleetLife, Told
from console.demo.live.host import LiveHost
from console.demo.live.kinds import LogEntry, UpdateServer
from console.demo.plan import HEADER, PlannedHost, Reached, current_offers, fleet_text, plan
from console.demo.server import DemoServer, Key, ServedHost
from console.demo.world import KeyRecord, SimulatedHost

FLEET_FILE = "fleet.toml"
KEY_FILE = "demo_key"
KNOWN_HOSTS = "known_hosts"
FEED_FILE = "releases.json"
SCENARIOS_FILE = "scenarios.json"
LIFE_FILE = "life.jsonl"
"""What happened to the hosts, in their own log, one JSON object a line."""
SEED = 1
_OWN_FILES = (FLEET_FILE, KEY_FILE, KNOWN_HOSTS, FEED_FILE, SCENARIOS_FILE, LIFE_FILE)
_USUAL_PORT = 2222
_PER_NET = 250


@dataclass(frozen=True, slots=True)
class DemoHost:
    planned: PlannedHost
    served: ServedHost


@dataclass(frozen=True, slots=True)
class DemoFleet:
    """A demo that is written down and not yet served."""

    directory: Path
    hosts: tuple[DemoHost, ...]
    login_key: Key

    @property
    def fleet_file(self) -> Path:
        return self.directory / FLEET_FILE

    @property
    def served(self) -> tuple[ServedHost, ...]:
        return tuple(host.served for host in self.hosts)

    @property
    def scenarios(self) -> dict[str, str]:
        """Host -> scenario."""
        return {host.planned.name: host.planned.scenario.name for host in self.hosts}


def prepare(
    directory: Path,
    hosts: int | None,
    scenario_counts: Mapping[str, int],
    start: datetime,
    *,
    alive: bool = False,
) -> DemoFleet:
    """Write a demo's directory; `start` (aware UTC) is the moment from which its world is dated.

    Keys are new each time. Raises ConfigError for an impossible wish and for a directory with files that
    are not a demo's.
    """
    planned = plan(hosts, scenario_counts, is_alive=alive)
    places = free_places(len(planned))
    fleet = DemoFleet(
        directory,
        tuple(
            DemoHost(item, ServedHost(item.build(start), *place, Key.new()))
            for item, place in zip(planned, places, strict=True)
        ),
        Key.new(),
    )
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_foreign_files(directory)
        _write_files(fleet, start)
    except OSError as error:
        raise ConfigError(str(directory), "", f"cannot be written: {error.strerror or error}") from error
    return fleet


@dataclass(frozen=True, slots=True)
class Manner:
    """How a fleet lives."""

    alive: bool = False
    """Its hosts check for updates and reboot by themselves."""
    speed: float = 1.0
    """Seconds of theirs in one of ours."""
    faults: tuple[PlannedFault, ...] = ()


AS_IT_IS = Manner()


def begin(
    planned: Iterable[PlannedHost],
    states: Iterable[SimulatedHost],
    clock: Clock,
    manner: Manner = AS_IT_IS,
    *,
    told: Told | None = None,
) -> FleetLife:
    """The life of planned hosts that are in these states when the clock starts.

    Raises ConfigError for a fault of a host that there is not.
    """
    update_server = UpdateServer(current_offers())
    lives = [
        LiveHost(state, update_server, now=clock.start, alive=manner.alive, seed=SEED) for state in states
    ]
    life = FleetLife(lives, clock, told=told)
    for host in planned:
        for name in host.faults:
            life.fault(host.name, name)
    for item in manner.faults:
        life.plan_fault(item)
    return life


async def serve(
    directory: Path,
    hosts: int | None,
    counts: Mapping[str, int],
    *,
    ready: Callable[[], None],
    latency_s: float = 0.0,
    manner: Manner = AS_IT_IS,
) -> None:
    """Prepare a demo and serve it until cancelled; `ready` is called once all hosts listen.

    Raises HostsStopped where the hosts cannot go on living: a mistake here, or a log that cannot be written.
    """
    fleet = await asyncio.to_thread(prepare, directory, hosts, counts, datetime.now(UTC), alive=manner.alive)
    clock = Clock(datetime.now(UTC), manner.speed)
    with open(directory / LIFE_FILE, "wb", buffering=0) as file:  # noqa: ASYNC230 - a local file's few lines
        diary = _Diary(file, clock)
        states = [host.state for host in fleet.served]
        life = begin([host.planned for host in fleet.hosts], states, clock, manner, told=diary.tell)
        async with DemoServer(fleet.served, fleet.login_key, life=life, latency_s=latency_s) as server:
            diary.on_trouble = server.stop
            ready()
            await server.until_mistaken()


class _Diary:
    """What happened to the hosts, written down line by line."""

    def __init__(self, file: BinaryIO, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self.on_trouble: Callable[[OSError], None] | None = None
        """Called where it cannot be written, whoever was the one to notice; None: that is raised."""

    def tell(self, entries: Sequence[LogEntry]) -> None:
        try:
            self._file.write("".join(life_line(entry, self._clock) for entry in entries).encode())
        except OSError as error:
            named = OSError(error.errno, error.strerror, self._file.name)
            if self.on_trouble is None:
                raise named from error
            self.on_trouble(named)


def life_line(entry: LogEntry, clock: Clock) -> str:
    """One line of the hosts' own log, as JSON: by their clock, and by ours."""
    document = {
        "at": entry.at.isoformat(),
        "ours": clock.ours(entry.at).isoformat(),
        "host": entry.host,
        "what": entry.what,
        "detail": entry.detail,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"


# -- places ------------------------------------------------------------------------------------


def free_places(count: int) -> list[tuple[str, int]]:
    """Address and port for each host: an own loopback address and one port, where the system has them.

    Where 127.0.0.1 is the only loopback address (macOS), each host has its own port there.
    """
    addresses = [f"127.20.{index // _PER_NET}.{index % _PER_NET + 1}" for index in range(count)]
    first = _free_port(addresses[0])
    if first is None:
        return [("127.0.0.1", port) for port in _free_ports("127.0.0.1", count)]
    for port in (_USUAL_PORT, first, *_free_ports(addresses[0], 4)):
        if all(_is_free(address, port) for address in addresses):
            return [(address, port) for address in addresses]
    raise ConfigError("demo", "127.20.0.0/16", "found no port that is free on all hosts' addresses")


def _is_free(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            return True
        except OSError:
            return False


def _free_port(address: str) -> int | None:
    try:
        return _free_ports(address, 1)[0]
    except OSError:
        return None


def _free_ports(address: str, count: int) -> list[int]:
    """Different ports that are free now; all are held until the last is found."""
    probes: list[socket.socket] = []
    try:
        for _ in range(count):
            probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            probes.append(probe)
            probe.bind((address, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


# -- files -------------------------------------------------------------------------------------


def _refuse_foreign_files(directory: Path) -> None:
    fleet_file = directory / FLEET_FILE
    if fleet_file.is_file() and fleet_file.read_bytes().startswith(HEADER.encode()):
        return
    for name in _OWN_FILES:
        if os.path.lexists(directory / name):
            text = "is not a demo's own; name an empty directory, or one that a demo wrote"
            raise ConfigError(str(directory / name), "", text)


def _write_files(fleet: DemoFleet, start: datetime) -> None:
    """The fleet file first: with it the directory is the demo's, even if nothing more gets written."""
    reached = [Reached(host.planned, host.served.address, host.served.port) for host in fleet.hosts]
    text = fleet_text(reached, key_file=KEY_FILE, known_hosts=KNOWN_HOSTS, feed_file=FEED_FILE)
    _write(fleet.fleet_file, text)
    _write(fleet.directory / KEY_FILE, fleet.login_key.private_text, mode=0o600)
    _write(fleet.directory / KNOWN_HOSTS, "".join(known_hosts_lines(fleet.served)))
    _write(fleet.directory / FEED_FILE, json.dumps(releases_json(start), indent=1) + "\n")
    _write(fleet.directory / SCENARIOS_FILE, json.dumps(fleet.scenarios, indent=1) + "\n")


def known_hosts_lines(hosts: Iterable[ServedHost]) -> Iterable[str]:
    """One line a host; none for a host whose key is not known, another key for one whose key changed."""
    for host in hosts:
        if host.state.key_record is KeyRecord.MISSING:
            continue
        key = Key.new() if host.state.key_record is KeyRecord.OTHER else host.key
        yield f"[{host.address}]:{host.port} {key.public_text}\n"


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    """Put a file in its place whole; its mode is right from its first byte on."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(handle, "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)
