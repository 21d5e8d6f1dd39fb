"""What the dashboard asks of the command line: plans, orders, and what only changes the database.

Each is a process of its own, `fleetctl VERB … --json`. A plan only looks, and ends with whoever waits for it.
An order stands in a session of its own and writes to files, not pipes: nothing that happens to the dashboard
or its terminal reaches it. What goes wrong is a `RequestFailed` of one sentence.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from console.exit_codes import ExitCode
from console.order_document import SCHEMA
from console.sweeper import own_argv

Json = dict[str, Any]
POLL_S = 0.1
"""Between two looks at whether an order stands."""


class RequestFailed(Exception):
    """Why there is no answer, one sentence."""


class Asks(Protocol):
    """What can be asked for; the only way from the dashboard to a host that changes one."""

    async def plan(self, verb: str, hosts: Sequence[str], arguments: Sequence[str]) -> Json: ...

    async def order(self, verb: str, hosts: Sequence[str], arguments: Sequence[str], digest: str) -> Json: ...

    async def run_plain(self, verb: str, hosts: Sequence[str], arguments: Sequence[str]) -> str: ...

    async def tell_rollout(self, words: Sequence[str]) -> str: ...


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended."""

    code: int
    out: str
    err: str


class Requests:
    """Of one fleet."""

    def __init__(self, fleet_file: Path, argv: Sequence[str] | None = None) -> None:
        """`argv`: another program than this fleetctl, for tests."""
        self._argv = list(argv) if argv is not None else own_argv(fleet_file)

    async def plan(self, verb: str, hosts: Sequence[str], arguments: Sequence[str]) -> Json:
        """The dry run on these hosts, as fleetctl.order/1. Raises RequestFailed."""
        argv = [*self._argv, verb, *arguments, *_named(hosts), "--dry-run", "--json"]
        return _document(await _looked(argv), "no plan was made")

    async def order(self, verb: str, hosts: Sequence[str], arguments: Sequence[str], digest: str) -> Json:
        """Give the order on exactly these hosts, if its plan still is the approved one.

        Raises RequestFailed.
        """
        approved = ["--yes", "--expect-hosts", str(len(hosts)), "--expect-plan", digest]
        argv = [*self._argv, verb, *arguments, *_named(hosts), *approved, "--no-wait", "--json"]
        return _document(await _detached(argv), "no order was given")

    async def run_plain(self, verb: str, hosts: Sequence[str], arguments: Sequence[str]) -> str:
        """Change the database: hold, unhold, acknowledge, pin. What it said. Raises RequestFailed."""
        options = [word for word in arguments if word.startswith("-")]
        words = [word for word in arguments if not word.startswith("-")]
        ended = await _looked([*self._argv, verb, *options, "--", *words, *hosts])
        if ended.code != ExitCode.OK:
            raise RequestFailed(_why(ended, "nothing was changed"))
        lines = ended.out.splitlines()
        return lines[0] if len(lines) == 1 else f"{verb}: {len(lines)} hosts, {_told(lines)}"

    async def tell_rollout(self, words: Sequence[str]) -> str:
        """`fleetctl rollout WORDS`: approve, or say how to go on. What it said. Raises RequestFailed."""
        ended = await _detached([*self._argv, "rollout", *words])
        if ended.code not in (ExitCode.OK, ExitCode.HALTED):
            raise RequestFailed(_why(ended, "nothing was asked for"))
        lines = [line for line in (*ended.out.splitlines(), *ended.err.splitlines()) if line.strip()]
        return lines[-1].removeprefix("fleetctl: ") if lines else "asked for"


def _named(hosts: Sequence[str]) -> list[str]:
    return [word for host in hosts for word in ("--host", host)]


def _told(lines: Sequence[str]) -> str:
    """`held, ops-7` where all hosts got the same; else how many got what."""
    said = [line.partition(": ")[2] for line in lines]
    counts = {text: said.count(text) for text in said}
    return ", ".join(f"{count} {text}" if len(counts) > 1 else text for text, count in counts.items())


async def _looked(argv: Sequence[str]) -> Ended:
    """A process that ends with whoever waits for it."""
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
        )
    except (OSError, ValueError) as error:
        raise RequestFailed(_cannot_start(error)) from error
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await asyncio.shield(process.wait())
    assert process.returncode is not None
    return Ended(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


async def _detached(argv: Sequence[str]) -> Ended:
    """A process that nothing here ends; asyncio's own would be killed with the event loop."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(  # noqa: ASYNC220 - see above; it returns once the program has begun
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
        except (OSError, ValueError) as error:
            raise RequestFailed(_cannot_start(error)) from error
        while process.poll() is None:  # noqa: ASYNC110 - no event tells of a process that is not asyncio's
            await asyncio.sleep(POLL_S)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    return Ended(process.returncode, *texts)


def _cannot_start(error: Exception) -> str:
    return f"fleetctl could not be started: {getattr(error, 'strerror', None) or error}"


def _document(ended: Ended, nothing: str) -> Json:
    """The order that was printed; refused hosts have exit codes of their own, and are in it. Raises
    RequestFailed."""
    try:
        found = json.loads(ended.out)
    except ValueError:
        raise RequestFailed(_why(ended, nothing)) from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise RequestFailed(f"{nothing}: fleetctl answered with something else than {SCHEMA}")
    return found


def _why(ended: Ended, nothing: str) -> str:
    """The last sentence on standard error, else how the process ended."""
    lines = [line.strip() for line in ended.err.splitlines() if line.strip()]
    if ended.code < 0:
        return f"{nothing}: fleetctl was killed by signal {-ended.code}"
    if ended.code == ExitCode.BUG:
        return f"{nothing}: fleetctl ended with a bug: {lines[-2] if len(lines) > 1 else ''}".rstrip(": ")
    for line in reversed(lines):
        for head in ("fleetctl: ", "Error: "):
            if line.startswith(head):
                return line.removeprefix(head)
    return f"{nothing}: {lines[-1]}" if lines else f"{nothing}: fleetctl ended with {ended.code}"
