"""`fleetctl demo`: a simulated fleet on this machine, over real SSH."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from collectors.errors import ConfigError
from console.cli.context import Console, now
from console.demo.scenarios import parse_counts
from console.exit_codes import ExitCode
from console.visible import visible

START_TIMEOUT_S = 120


@click.command("demo", help="A simulated fleet on this machine, over real SSH: every state, for practice.")
@click.option("--hosts", type=click.IntRange(1, 20_000), help="How many hosts (40, or those of --scenario).")
@click.option(
    "--serve",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Only serve hosts, until SIGTERM; DIR/fleet.toml names them.",
)
@click.option("--scenario", "scenarios", multiple=True, metavar="NAME=COUNT", help="Hosts of one scenario.")
@click.option("--alive", is_flag=True, help="Hosts update and reboot by themselves; needs --serve.")
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 10_000),
    default=1.0,
    show_default=True,
    help="Seconds of the hosts in one of ours; needs --serve.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="HOST=NAME[@SECONDS]",
    help="What goes wrong on a host, from the start or so many of its seconds later; needs --serve.",
)
@click.pass_obj
def command(
    console: Console,
    hosts: int | None,
    directory: Path | None,
    scenarios: tuple[str, ...],
    alive: bool,
    speed: float,
    faults: tuple[str, ...],
) -> int:
    counts = parse_counts(list(scenarios))
    if directory is not None:
        return asyncio.run(_serve(directory, hosts, counts, alive=alive, speed=speed, faults=faults))
    if alive or faults or speed != 1.0:
        raise click.UsageError("--alive, --speed and --fault need --serve DIR")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the hosts' process ends with us
    with tempfile.TemporaryDirectory(prefix="fleetctl-demo-") as folder:
        with _served(Path(folder), hosts, scenarios):
            return _show(console, Path(folder))


async def _serve(
    directory: Path,
    hosts: int | None,
    counts: dict[str, int],
    *,
    alive: bool,
    speed: float,
    faults: tuple[str, ...],
) -> ExitCode:
    """Serve until SIGTERM or SIGINT; `ready` on stdout once every host listens."""
    from console.demo.faults import parse_faults
    from console.demo.fleet import Manner, serve
    from console.demo.server import HostsStopped

    manner = Manner(alive, speed, parse_faults(faults))
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for ending in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(ending, task.cancel)

    def ready() -> None:
        click.echo("ready")
        sys.stdout.flush()

    try:
        await serve(directory, hosts, counts, ready=ready, manner=manner)
    except asyncio.CancelledError:
        if not _was_asked(task):
            raise
    except HostsStopped as error:
        click.echo(f"fleetctl: demo: {visible(str(error))}", err=True)
        return ExitCode.USAGE if isinstance(error.__cause__, OSError) else ExitCode.BUG
    return ExitCode.OK


def _was_asked(task: asyncio.Task[object]) -> bool:
    return task.uncancel() == 0


@contextmanager
def _served(directory: Path, hosts: int | None, scenarios: tuple[str, ...]) -> Iterator[None]:
    """The hosts in a process of their own, until the block ends."""
    argv = [sys.executable, "-m", "console.cli", "demo", "--serve", str(directory)]
    argv += ["--hosts", str(hosts)] if hosts is not None else []
    argv += [word for scenario in scenarios for word in ("--scenario", scenario)]
    server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        if server.stdout.readline().strip() != "ready":
            raise ConfigError("demo", "", "the simulated hosts did not start")
        yield
    finally:
        server.terminate()
        server.wait(timeout=START_TIMEOUT_S)
        if server.stdout is not None:
            server.stdout.close()


def _show(console: Console, directory: Path) -> int:
    """Ask the demo fleet, print its status; whether every host is in its scenario's state."""
    from console.cli.reading import read_whole
    from console.cli.sweeping import sweep_fleet
    from console.demo.scenarios import SELECTABLE
    from console.render import status_text

    demo = Console(directory / "fleet.toml", console.color, console.ascii_only)
    loaded = demo.load()
    sweep_fleet(loaded, [host.name for host in loaded.fleet.hosts])
    whole = read_whole(loaded, now())
    text = status_text(whole.view, colour=demo.colour, ascii=demo.ascii, width=demo.width, full=False)
    click.echo(text, color=True)
    wanted: dict[str, str] = json.loads((directory / "scenarios.json").read_text())
    wrong = [
        f"{row.name} is {row.state}, its scenario {wanted[row.name]} is {SELECTABLE[wanted[row.name]].state}"
        for row in whole.view.rows
        if SELECTABLE[wanted[row.name]].state not in (row.state, None)
    ]
    for line in wrong:
        click.echo(line, err=True)
    return ExitCode.NOT_AS_WANTED if wrong else ExitCode.OK
