"""`python -m benchmarks.startup`: CPU of one-shot commands beside other tools' (goal G9).

A fleet is stored, no host is asked. All commands run with this interpreter, in turn, several times.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.costs import Ended, median, median_ratio, plain_environment, run
from benchmarks.looks import stored_fleet
from benchmarks.report import Goal, count, ended, parser, print_goals, print_heading, print_table

TIMEOUT_S = 60
IMPORT_RUNS = 5
_IMPORT = re.compile(rb"import time:\s+(\d+) \|\s+(\d+) \|\s*(\S+)")
PASS, CLUSH, KUBECTL = "python -c pass", "clush --version", "kubectl version --client"
STATUS = "fleetctl status"


def commands(fleet_file: Path, host: str) -> dict[str, list[str]]:
    """What is measured, by the name under which it is printed; tools that are not installed are left out."""
    fleetctl = [sys.executable, "-m", "console.cli", "--fleet", str(fleet_file)]
    script = Path(sys.executable).with_name("fleetctl")
    if script.exists():
        fleetctl[:3] = [str(script)]
    found = {
        PASS: [sys.executable, "-c", "pass"],
        STATUS: [*fleetctl, "status"],
        "fleetctl status --long": [*fleetctl, "status", "--long"],
        "fleetctl status --json": [*fleetctl, "status", "--json"],
        "fleetctl show HOST": [*fleetctl, "show", host],
        "fleetctl version": [*fleetctl, "version"],
    }
    clush, kubectl = Path(sys.executable).with_name("clush"), shutil.which("kubectl")
    if clush.exists():
        found[CLUSH] = [str(clush), "--version"]
    if kubectl:
        found[KUBECTL] = [kubectl, "version", "--client"]
    return found


def measured(found: Mapping[str, Sequence[str]], runs: int) -> dict[str, list[Ended]]:
    """Every command once a round; a round before the first is not counted."""
    env = plain_environment()
    costs: dict[str, list[Ended]] = {name: [] for name in found}
    for number in range(runs + 1):
        for name, argv in found.items():
            done = run(argv, timeout_s=TIMEOUT_S, env=env).checked()
            if number:
                costs[name].append(done)
    return costs


def goals(cpu: Mapping[str, Sequence[float]]) -> list[Goal]:
    limits = ((PASS, 8.5), (CLUSH, 1.1), (KUBECTL, 2.0))
    return [
        Goal("G9", f"CPU, {STATUS} / {other}", median_ratio(cpu[STATUS], cpu[other]), limit)
        for other, limit in limits
        if other in cpu
    ]


def dearest_imports(argv: Sequence[str], number: int = 10) -> list[tuple[str, float, float]]:
    """Module, ms of its own, ms with what it imports; medians of some runs, the dearest first."""
    owns: dict[str, list[float]] = {}
    wholes: dict[str, list[float]] = {}
    for _ in range(IMPORT_RUNS):
        command = [sys.executable, "-X", "importtime", *argv]
        told = run(command, timeout_s=TIMEOUT_S, env=plain_environment()).checked().stderr
        for own, whole, name in _IMPORT.findall(told):
            owns.setdefault(name.decode(), []).append(int(own) / 1000)
            wholes.setdefault(name.decode(), []).append(int(whole) / 1000)
    rows = [(name, median(owns[name]), median(wholes[name])) for name in owns]
    return sorted(rows, key=lambda row: row[1], reverse=True)[:number]


def benchmark(hosts: int, runs: int) -> None:
    print_heading(f"start-up, {hosts} hosts stored", ("click", "msgspec", "ClusterShell"))
    with tempfile.TemporaryDirectory(prefix="fleetctl-bench-") as folder:
        loaded = stored_fleet(Path(folder), hosts)
        found = commands(loaded.path, loaded.fleet.hosts[0].name)
        costs = measured(found, runs)
        cpu = {name: [one.cpu_s * 1000 for one in several] for name, several in costs.items()}
        rows = [
            [
                name,
                f"{median(values):.1f}",
                f"{median(one.wall_s * 1000 for one in costs[name]):.1f}",
                f"{median_ratio(values, cpu[PASS]):.2f}",
                f"{len(costs[name][0].stdout)}",
            ]
            for name, values in cpu.items()
        ]
        print(f"medians of {runs} runs")
        print_table(["command", "CPU ms", "wall ms", "x pass", "bytes out"], rows)
        print_goals(goals(cpu))
        in_process = ["-m", "console.cli", "--fleet", str(loaded.path), "status"]
        imports = dearest_imports(in_process)
    print(f"dearest imports of `{STATUS}`, with the cost of measuring them")
    cells = [[name, f"{own:.2f}", f"{whole:.2f}"] for name, own, whole in imports]
    print_table(["module", "itself ms", "with its imports ms"], cells)


def main() -> int:
    options = parser("CPU of one-shot commands beside other tools' (goal G9).")
    options.add_argument("--hosts", type=count, default=1000)
    options.add_argument("--runs", type=count, default=15)
    given = options.parse_args()
    return ended(lambda: benchmark(given.hosts, given.runs))


if __name__ == "__main__":
    sys.exit(main())
