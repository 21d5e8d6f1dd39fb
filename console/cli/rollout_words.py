"""`fleetctl rollout pause` and its like: one word to whoever carries a rollout out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import click

from console.cli.context import Console
from console.cli.rollout_looks import id_argument
from console.exit_codes import ExitCode

if TYPE_CHECKING:
    from collectors.fleet_file import LoadedFleet
    from console.cli.rollout_shared import Stored

_REASON = "Why; for the record."
_HELP = {
    "pause": "Dispatch nothing more; hosts whose reboot was sent are followed to their end.",
    "resume": "Go on after a pause.",
    "promote": "Cut a soak short, or answer a gate that waits for a person.",
    "abort": "End it: nothing more is sent, what was taken is given back.",
    "retry-failed": "After a halt: try the failed hosts again. Names: only these.",
    "accept-failures": "After a halt: go on without the failed hosts. Names: only these.",
    "roll-back": "Put every host that has the release back to what it had.",
    "release": "A failed, missing or unknown host holds no place in the budget any more.",
}
_NEEDS_REASON = frozenset(("promote", "retry-failed", "accept-failures", "roll-back", "release"))
_TAKES_HOSTS = frozenset(("retry-failed", "accept-failures", "release"))


def _command(name: str) -> click.Command:
    def run(
        console: Console,
        rollout_id: str,
        reason: str | None,
        said: str | None,
        hosts: tuple[str, ...] = (),
        yes: bool = False,
        expect_hosts: int | None = None,
    ) -> ExitCode:
        return _ask(console, name, rollout_id, reason, said, hosts, yes=yes, expect_hosts=expect_hosts)

    made: Callable[..., ExitCode] = click.pass_obj(run)
    actor_help = "Who you are, where an account is shared; for the record."
    options = [
        id_argument,
        click.option("--reason", required=name in _NEEDS_REASON, help=_REASON),
        click.option("--actor", "said", metavar="TEXT", help=actor_help),
    ]
    if name in _TAKES_HOSTS:
        options.insert(1, click.argument("hosts", nargs=-1, metavar="[HOST]...", required=name == "release"))
    if name == "roll-back":
        options += [
            click.option("--yes", is_flag=True, help="Do not ask; without a terminal see --expect-hosts."),
            click.option("--expect-hosts", type=click.IntRange(min=0), help="With --yes: how many hosts."),
        ]
    for option in reversed(options):
        made = option(made)
    return click.command(name, help=_HELP[name])(made)


WORDS = tuple(_command(name) for name in _HELP)


def _ask(
    console: Console,
    name: str,
    rollout_id: str,
    reason: str | None,
    said: str | None,
    hosts: tuple[str, ...],
    *,
    yes: bool,
    expect_hosts: int | None,
) -> ExitCode:
    from actions.rollout_talk import RequestKind
    from console.cli.rollout_asking import ask_rollout

    text = " ".join((reason or "").split())
    if name in _NEEDS_REASON and not text:
        raise click.UsageError("--reason is empty: say why")
    loaded = console.load()
    found = _stored(loaded, rollout_id)
    if name == "roll-back":
        refused = _unconfirmed(found, yes=yes, expect_hosts=expect_hosts)
        if refused is not None:
            return refused
    kind = RequestKind("release-host" if name == "release" else name)
    code, _ = ask_rollout(loaded, rollout_id, kind, reason=text, hosts=_names(hosts), said=said)
    return code


def _stored(loaded: LoadedFleet, rollout_id: str) -> Stored:
    from collectors import store
    from console.cli.rollout_shared import read_rollout

    with closing(store.open_reader(loaded.database_path)) as conn:
        return read_rollout(conn, loaded, rollout_id)


def _names(words: tuple[str, ...]) -> list[str]:
    """Hosts by name; node sets are taken apart. Raises ConfigError for what is neither."""
    from collectors.errors import ConfigError
    from collectors.host_names import HostTextInvalid, expand_hosts
    from console.visible import visible

    names: list[str] = []
    for word in words:
        try:
            names += expand_hosts(word)
        except HostTextInvalid as error:
            raise ConfigError("HOST", visible(word), str(error)) from error
    return list(dict.fromkeys(names))


def _unconfirmed(found: Stored, *, yes: bool, expect_hosts: int | None) -> ExitCode | None:
    """A roll-back reboots hosts: their number is typed, or expected. None: it is confirmed."""
    from console.cli.rollout_shared import say
    from console.cli.rollout_start import can_ask
    from console.visible import hosts_words

    count = sum(host.has_target for host in found.rollout.hosts.values())
    if expect_hosts is not None and not yes:
        raise click.UsageError("--expect-hosts goes with --yes")
    if expect_hosts is not None and expect_hosts != count:
        say(f"{hosts_words(count)} it is, not {expect_hosts}: nothing was asked for")
        return ExitCode.REFUSED
    if yes and (count <= 1 or expect_hosts is not None or can_ask()):
        return None
    if not can_ask():
        expected = f" --expect-hosts {count}" if count > 1 else ""
        say(f"there is no terminal to ask at: say --yes{expected} if you mean it")
        return ExitCode.USAGE
    wanted = str(count) if count > 1 else "yes"
    question = f"type {wanted} to roll {hosts_words(count)} back, with a reboot each"
    answer: str = click.prompt(question, default="", show_default=False, err=True)
    if answer.strip() == wanted:
        return None
    say("not confirmed: nothing was asked for")
    return ExitCode.REFUSED
