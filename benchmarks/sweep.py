"""`python -m benchmarks.sweep`: a cold sweep beside clush and xargs with ssh (goals G1, G2, G3).

Against a simulated fleet, or with --sshd against a real OpenSSH server, whose logins and probes cost what
they cost. All take turns in every round; a small sweep of each comes first and is not counted.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.costs import BenchmarkFailed, machine_busy_s, median, median_ratio, settled_cpu_of
from benchmarks.crypto_floor import login_floor_s
from benchmarks.farms import (
    FANOUT,
    Farm,
    agreed,
    library_exchanges,
    own_namespace,
    program_exchanges,
    real_sshd,
    simulated,
)
from benchmarks.peers import Contestant, Field, contestants
from benchmarks.report import Goal, count, ended, parser, print_goals, print_heading, print_table

FRESH, KNOWN, CLUSH, XARGS = "fleetctl, new database", "fleetctl, known hosts", "clush", "xargs ssh"


@dataclass(frozen=True, slots=True)
class Round:
    """One contestant's pass in one round, per host."""

    hosts_per_s: float
    client_ms: float
    server_ms: float
    strangers: float
    """CPUs that other processes kept busy meanwhile: with half a one, times mean little."""
    missing: int


Rounds = dict[str, list[Round]]


def one_round(contestant: Contestant, farm: Farm, hosts: int) -> Round:
    before, busy, started = settled_cpu_of(farm.pid), machine_busy_s(), time.monotonic()
    swept = contestant.sweep()
    after, busy_after, ended_at = settled_cpu_of(farm.pid), machine_busy_s(), time.monotonic()
    if swept.whole == 0:
        said = swept.ended.stderr[-500:].decode(errors="replace")
        raise BenchmarkFailed(f"{contestant.name} got no whole answer: {said}")
    server_s = float("nan") if before is None or after is None else after - before
    all_s = float("nan") if busy is None or busy_after is None else busy_after - busy
    return Round(
        hosts_per_s=hosts / swept.ended.wall_s,
        client_ms=swept.ended.cpu_s / hosts * 1000,
        server_ms=server_s / hosts * 1000,
        strangers=max(0.0, all_s - server_s - swept.ended.cpu_s) / (ended_at - started),
        missing=hosts - swept.whole,
    )


def measured(farm: Farm, work: Path, hosts: int, rounds: int) -> Rounds:
    field = Field(farm, work, farm.targets())
    fleetctl, ssh = (agreed(names, farm.exchanges) for names in (library_exchanges(), program_exchanges()))
    print(f"key exchange: fleetctl {fleetctl}, ssh {ssh}; {FANOUT} hosts at once\n", flush=True)
    everyone = contestants(field)
    everyone[0].sweep()  # the server's caches are warm for all, or for none
    found: Rounds = {one.name: [] for one in everyone}
    for _ in range(rounds):
        for one in everyone:
            found[one.name].append(one_round(one, farm, hosts))
    return found


def cpu_ratio(found: Rounds, ours: str, theirs: str) -> float:
    return median_ratio([one.client_ms for one in found[ours]], [one.client_ms for one in found[theirs]])


def speed_ratio(found: Rounds, ours: str, theirs: str) -> float:
    return median_ratio([one.hosts_per_s for one in found[ours]], [one.hosts_per_s for one in found[theirs]])


def goals(found: Rounds, floor_s: float, *, is_real: bool) -> list[Goal]:
    name = "G1" if is_real else "G2"
    cpu, speed = (0.22, 1.3) if is_real else (0.12, 5.0)
    wanted = [
        Goal(name, "client CPU, fleetctl / clush", cpu_ratio(found, FRESH, CLUSH), cpu),
        Goal(name, "hosts/s, fleetctl / clush", speed_ratio(found, FRESH, CLUSH), speed, is_ceiling=False),
    ]
    if is_real:
        server = median_ratio(
            [one.server_ms for one in found[FRESH]], [one.server_ms for one in found[CLUSH]]
        )
        wanted += [
            Goal(name, "client CPU, fleetctl / xargs ssh", cpu_ratio(found, FRESH, XARGS), 0.35),
            Goal(name, "hosts' CPU, fleetctl / clush", server, 1.05),
        ]
    floors = median(one.client_ms for one in found[FRESH]) / (floor_s * 1000)
    return [*wanted, Goal("G3", "client CPU / bare crypto of a login", floors, 8.0)]


def show(found: Rounds, floor_s: float, *, is_real: bool) -> None:
    rows = [
        [
            name,
            f"{median(one.hosts_per_s for one in rounds):.0f}",
            f"{median(one.client_ms for one in rounds):.2f}",
            f"{median(one.server_ms for one in rounds):.2f}",
            f"{median(one.strangers for one in rounds):.2f}",
            f"{max(one.missing for one in rounds)}",
            f"{cpu_ratio(found, name, CLUSH):.3f}",
            f"{speed_ratio(found, name, CLUSH):.2f}",
        ]
        for name, rounds in found.items()
    ]
    header = [
        "contestant",
        "hosts/s",
        "client ms/host",
        "hosts' ms/host",
        "others' CPUs",
        "missing",
        "CPU / clush",
        "speed / clush",
    ]
    print_table(header, rows)
    print(f"bare crypto of a login: {floor_s * 1000:.3f} ms")
    print_goals(goals(found, floor_s, is_real=is_real))


def benchmark(hosts: int, rounds: int, *, is_real: bool, argv: Sequence[str]) -> None:
    if is_real:
        own_namespace(argv)
    kind = "one real sshd" if is_real else "a simulated fleet"
    print_heading(
        f"cold sweep of {hosts} hosts, {kind}, {rounds} rounds", ("asyncssh", "cryptography", "ClusterShell")
    )
    with tempfile.TemporaryDirectory(prefix="fleetctl-bench-") as folder:
        fleet, work = Path(folder, "fleet"), Path(folder, "work")
        fleet.mkdir(mode=0o700)
        work.mkdir()
        with (real_sshd if is_real else simulated)(fleet, hosts) as farm:
            found = measured(farm, work, hosts, rounds)
            exchange = agreed(library_exchanges(), farm.exchanges)
    show(found, login_floor_s(exchange), is_real=is_real)
    missing = {name: max(one.missing for one in passes) for name, passes in found.items()}
    if any(missing.values()):
        raise BenchmarkFailed(f"answers are missing or cut off, compare nothing: {missing}")


def main() -> int:
    options = parser("A cold sweep beside clush and xargs with ssh (goals G1, G2, G3).")
    options.add_argument("--hosts", type=count, default=1000)
    options.add_argument("--rounds", type=count, default=3)
    options.add_argument("--sshd", action="store_true", help="ask one real OpenSSH server, as root")
    given = options.parse_args()
    argv = [sys.executable, "-m", "benchmarks.sweep", *sys.argv[1:]]
    return ended(lambda: benchmark(given.hosts, given.rounds, is_real=given.sshd, argv=argv))


if __name__ == "__main__":
    sys.exit(main())
