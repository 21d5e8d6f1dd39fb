"""`python -m benchmarks.warm`: refreshes over kept connections beside the first sweep (goals G5, G6).

One process asks a simulated fleet. Bare: the probe alone, nothing read. Whole: parsed, judged and stored.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from actions.collect import collect
from benchmarks.costs import BenchmarkFailed, median, resident_bytes
from benchmarks.farms import Farm, simulated
from benchmarks.report import Goal, count, ended, parser, print_goals, print_heading, print_table
from collectors import store
from collectors.feed_file import load_feed
from collectors.fleet_file import load_fleet, targets
from collectors.probe import LIMIT_BYTES, probe_command
from collectors.ssh import SshTransport
from collectors.transport import Target

WARM_SWEEPS = 3
TIMEOUT_S = 60
FEW_HOSTS = 20
MARK = "3e" * 16
GOAL_CONNECTIONS, GOAL_MIB = 5000, 170

Pass = Callable[[SshTransport, int], Awaitable[None]]
"""Asks the first so many hosts."""


@dataclass(frozen=True, slots=True)
class Refreshes:
    """A cold sweep and those after it over the same connections; ms of CPU a host, and seconds."""

    cold_ms: float
    warm_ms: list[float]
    cold_s: float
    warm_s: list[float]
    connection_bytes: float | None
    """RAM that the cold sweep took for each connection; None where the system does not tell."""

    @property
    def ratio(self) -> float:
        return median(self.warm_ms) / self.cold_ms


async def bare_pass(transport: SshTransport, known: Sequence[Target], at_once: int) -> None:
    """The probe on every host, its end looked for and nothing else."""
    command, queue = probe_command(), iter(known)

    async def worker() -> None:
        for target in queue:
            done = await transport.run(
                target, command, f"{MARK}\n".encode(), timeout_s=TIMEOUT_S, limit_bytes=LIMIT_BYTES
            )
            if f"\n{MARK} Z ".encode() not in done.stdout[-100:] or done.exit_status != 0:
                raise BenchmarkFailed(f"{target.name} did not answer to the end")

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())


async def refreshes(one_pass: Pass, hosts: int, at_once: int) -> Refreshes:
    """A few hosts first, so that what is loaded once is loaded; then one cold sweep and the warm ones."""
    async with SshTransport(keep=False, connections=at_once) as first:
        await one_pass(first, FEW_HOSTS)
    gc.collect()
    before = resident_bytes()
    async with SshTransport(keep=True, connections=at_once) as transport:
        cold_cpu_s, cold_s = await _costs(one_pass(transport, hosts))
        gc.collect()
        after = resident_bytes()
        warm = [await _costs(one_pass(transport, hosts)) for _ in range(WARM_SWEEPS)]
    return Refreshes(
        cold_ms=cold_cpu_s / hosts * 1000,
        warm_ms=[cpu_s / hosts * 1000 for cpu_s, _ in warm],
        cold_s=cold_s,
        warm_s=[wall_s for _, wall_s in warm],
        connection_bytes=(after - before) / hosts if before is not None and after is not None else None,
    )


async def _costs(work: Awaitable[None]) -> tuple[float, float]:
    """CPU and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    await work
    return time.process_time() - cpu, time.perf_counter() - wall


def bare(farm: Farm) -> Refreshes:
    known = farm.targets()
    at_once = load_fleet(farm.fleet_file).fleet.connections
    return asyncio.run(
        refreshes(lambda transport, hosts: bare_pass(transport, known[:hosts], at_once), len(known), at_once)
    )


def whole(farm: Farm, conn: sqlite3.Connection) -> Refreshes:
    loaded, feed = load_fleet(farm.fleet_file), load_feed(None)
    known, names = targets(loaded).targets, [host.name for host in loaded.fleet.hosts]

    async def one_pass(transport: SshTransport, hosts: int) -> None:
        swept = await collect(loaded.fleet, known, names[:hosts], conn, transport, feed)
        if swept.silent:
            raise BenchmarkFailed(f"{len(swept.silent)} hosts did not answer to the end")

    return asyncio.run(refreshes(one_pass, len(names), loaded.fleet.connections))


def show(found: dict[str, Refreshes], hosts: int) -> None:
    rows = [
        [
            name,
            f"{one.cold_ms:.3f}",
            *(f"{value:.3f}" for value in one.warm_ms),
            f"{one.ratio:.3f}",
            f"{hosts / one.cold_s:.0f}",
            f"{hosts / median(one.warm_s):.0f}",
            "?" if one.connection_bytes is None else f"{one.connection_bytes / 1024:.1f}",
        ]
        for name, one in found.items()
    ]
    warm = [f"warm {number + 1}" for number in range(WARM_SWEEPS)]
    header = ["CPU ms/host", "cold", *warm, "warm / cold", "cold hosts/s", "warm hosts/s", "KiB/connection"]
    print_table(header, rows)


def goals(found: dict[str, Refreshes]) -> list[Goal]:
    wanted = [Goal("G5", f"warm / cold CPU, {name}", one.ratio, 0.2) for name, one in found.items()]
    each = next(iter(found.values())).connection_bytes
    if each is not None:
        held_mib = each * GOAL_CONNECTIONS / 2**20
        what = f"{GOAL_CONNECTIONS} connections, reckoned from these"
        wanted.append(Goal("G6", what, held_mib, GOAL_MIB, unit="MiB"))
    return wanted


def benchmark(hosts: int) -> None:
    print_heading(f"warm refreshes of {hosts} hosts, a simulated fleet", ("asyncssh", "cryptography"))
    with (
        tempfile.TemporaryDirectory(prefix="fleetctl-bench-") as folder,
        simulated(Path(folder), hosts) as farm,
    ):
        found = {"bare": bare(farm)}  # first: its memory is that of connections alone
        conn = store.open_writer(Path(folder, "warm.db"))
        try:
            found["whole"] = whole(farm, conn)
        finally:
            conn.close()
    show(found, hosts)
    print_goals(goals(found))


def main() -> int:
    options = parser("Refreshes over kept connections beside the first sweep (goals G5, G6).")
    options.add_argument("--hosts", type=count, default=1000)
    given = options.parse_args()
    return ended(lambda: benchmark(given.hosts))


if __name__ == "__main__":
    sys.exit(main())
