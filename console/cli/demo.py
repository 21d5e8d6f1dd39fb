"""`fleetctl demo`: a simulated fleet on this machine, over real SSH; or a whole rollout on one."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collectors.errors import ConfigError
from console.cli.attached import end_with_input
from console.cli.context import Console, now
from console.cli.dashboard import has_terminal, open_dashboard
from console.demo.scenarios import parse_counts
from console.exit_codes import ExitCode
from console.visible import visible

if TYPE_CHECKING:
    from datetime import datetime

    from actions.rollout_talk import Tell

START_TIMEOUT_S = 120
ROLLOUT_SPEED = 60
RELEASE_FAULTS = ("revert", "vanish", "break-after-30m")


@click.command("demo", help="A simulated fleet on this machine, over real SSH: every state, for practice.")
@click.option("--hosts", type=click.IntRange(1, 20_000), help="How many hosts (40, or those of --scenario).")
@click.option(
    "--serve",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Only serve hosts, until SIGTERM; DIR/fleet.toml names them.",
)
@click.option("--scenario", "scenarios", multiple=True, metavar="NAME=COUNT", help="Hosts of one scenario.")
@click.option("--alive", is_flag=True, help="Hosts update and reboot by themselves.")
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 10_000),
    default=1.0,
    show_default=True,
    help="Seconds of the hosts in one of ours.",
)
@click.option(
    "--rollout",
    is_flag=True,
    help="A whole rollout of the newest release: on a terminal in the dashboard, else told in sped-up time.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="HOST=NAME[@SECONDS]",
    help="What goes wrong on a host, from the start or so many of its seconds later. With --rollout what is"
    f" wrong with the release, on 30 % of the hosts: {', '.join(RELEASE_FAULTS)}.",
)
@click.option("--attached", is_flag=True, hidden=True, help="End when standard input does.")
@click.pass_obj
def command(
    console: Console,
    hosts: int | None,
    directory: Path | None,
    scenarios: tuple[str, ...],
    alive: bool,
    speed: float,
    rollout: bool,
    faults: tuple[str, ...],
    attached: bool,
) -> int:
    if attached:
        end_with_input()
    if rollout:
        _refuse_mixed(faults, {"--serve": directory, "--scenario": scenarios, "--alive": alive})
        if speed != 1.0:
            raise click.UsageError("--rollout has a speed of its own: leave --speed away")
        return _rollout(console, hosts or 40, faults[0] if faults else None)
    for word in faults:
        if word in RELEASE_FAULTS:
            text = f"--fault {word} is for --rollout; what goes wrong on a host is HOST=NAME"
            raise click.UsageError(text)
    counts = parse_counts(list(scenarios))
    if directory is not None:
        return asyncio.run(_serve(directory, hosts, counts, alive=alive, speed=speed, faults=faults))
    on_screen = has_terminal()
    if not on_screen and (alive or faults or speed != 1.0):
        raise click.UsageError("--alive, --speed and --fault need a terminal, or --serve DIR")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the hosts' process ends with us
    options = ["--hosts", str(hosts)] if hosts is not None else []
    options += [word for scenario in scenarios for word in ("--scenario", scenario)]
    options += [word for fault in faults for word in ("--fault", fault)]
    options += ["--speed", str(speed), *(["--alive"] if alive else [])]
    with tempfile.TemporaryDirectory(prefix="fleetctl-demo-") as folder:
        with _served(Path(folder), options):
            demo = Console(Path(folder) / "fleet.toml", console.color, console.ascii_only)
            return open_dashboard(demo) if on_screen else _show(demo, Path(folder))


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
def _served(directory: Path, options: list[str]) -> Iterator[None]:
    """The hosts in a process of their own, until the block ends, or this process does."""
    argv = [sys.executable, "-m", "console.cli", "demo", "--serve", str(directory), "--attached", *options]
    server = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert server.stdout is not None
        if server.stdout.readline().strip() != "ready":
            raise ConfigError("demo", "", "the simulated hosts did not start")
        yield
    finally:
        server.terminate()
        server.wait(timeout=START_TIMEOUT_S)
        for stream in (server.stdin, server.stdout):
            if stream is not None:
                stream.close()


def _show(demo: Console, directory: Path) -> int:
    """Ask the demo fleet, print its status; whether every host is in its scenario's state."""
    from console.cli.reading import read_whole
    from console.cli.sweeping import sweep_fleet
    from console.demo.scenarios import SELECTABLE
    from console.render import status_text

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


# -- a whole rollout -----------------------------------------------------------------------------


def _refuse_mixed(faults: tuple[str, ...], others: dict[str, object]) -> None:
    """What cannot be had together with --rollout. Raises UsageError."""
    for option, value in others.items():
        if value:
            raise click.UsageError(f"--rollout has hosts of its own: leave {option} away")
    for word in faults:
        if word not in RELEASE_FAULTS:
            known = ", ".join(RELEASE_FAULTS)
            text = f"--fault {word}: with --rollout it is one of {known}, on 30 % of the hosts"
            raise click.UsageError(text)
    if len(faults) > 1:
        raise click.UsageError("--rollout takes one --fault")


def _rollout(console: Console, hosts: int, fault: str | None) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what is begun is given back
    if has_terminal():
        return _shown_rollout(console, hosts, fault)
    return _told_rollout(hosts, fault)


def _told_rollout(hosts: int, fault: str | None) -> int:
    """In memory, as fast as it can be reckoned: each event, then how it ended."""
    from console.demo import rollout_story as tale

    day = tale.START.date()

    def told(at: datetime, tell: Tell) -> None:
        nonlocal day
        if at.date() != day:
            day = at.date()
            click.echo(f"00:00:00  {day} begins")
        about = f"{tell.about}: " if tell.about else ""
        cause = f" ({tell.cause})" if tell.cause else ""
        click.echo(f"{at:%H:%M:%S}  {visible(f'{about}{tell.text}{cause}')}")

    planned = tale.story_hosts(hosts)
    with tempfile.TemporaryDirectory(prefix="fleetctl-demo-") as folder:
        story = tale.ready(Path(folder), planned, tale.faulty(planned, fault))
        ending = tale.play(story, told)
    click.echo()
    for line in tale.ending_lines(ending):
        click.echo(visible(line))
    sys.stdout.flush()
    for line in ending.broken:
        click.echo(f"fleetctl: demo: {visible(line)}", err=True)
    return ending.code


def _shown_rollout(console: Console, hosts: int, fault: str | None) -> int:
    """Over real SSH, hosts and times sped up alike: the dashboard on it, until it is left."""
    from actions.actor import current_actor
    from actions.rollout_plan import Now
    from actions.rollout_talk import RequestKind
    from collectors import store
    from console.cli.following import start_runner
    from console.cli.rollout_asking import ask_rollout
    from console.cli.sweeping import sweep_fleet
    from console.demo import rollout_story as tale

    planned = tale.story_hosts(hosts)
    options = ["--scenario", f"behind={len(tale.serving(hosts))}", "--speed", str(ROLLOUT_SPEED)]
    for name, own in tale.faulty(planned, fault).items():
        options += ["--fault", f"{name}={own}"]
    with tempfile.TemporaryDirectory(prefix="fleetctl-demo-") as folder, _served(Path(folder), options):
        demo = Console(Path(folder) / "fleet.toml", console.color, console.ascii_only)
        tale.hasten(Path(folder) / "fleet.toml", ROLLOUT_SPEED)
        loaded = demo.load()
        sweep_fleet(loaded, [host.name for host in loaded.fleet.hosts])
        at = now()
        made = tale.story_plan(loaded, [host.name for host in planned], at)
        with closing(store.open_writer(loaded.database_path, durable=True)) as conn:
            tale.draft(conn, made, current_actor(), Now(at, at))
        code, runner = ask_rollout(loaded, made.id, RequestKind.APPROVE, reason=tale.REASON)
        if code is not ExitCode.OK:
            return code
        runner = runner or start_runner(loaded.path, loaded.database_path, made.id)
        try:
            return open_dashboard(demo)
        finally:
            runner.terminate()
            runner.wait(timeout=START_TIMEOUT_S)
