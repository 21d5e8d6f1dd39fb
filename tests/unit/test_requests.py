"""Plans and orders as processes: what comes of them, in which session they run, and every way to fail."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actions.orders import Asked, Verb
from console.requests import RequestFailed, Requests
from tests.panes.confirm_stand import dry_run, lab_in
from tests.unit.order_lab import OrderLab, use_lab_time

__all__ = ["use_lab_time"]

ECHO = """
import json, os, sys
told = {"schema": "fleetctl.order/1", "argv": sys.argv[1:], "sid": os.getsid(0), "pid": os.getpid()}
print(json.dumps(told))
"""


def program(code: str) -> Requests:
    """Requests to a program of these lines instead of fleetctl."""
    return Requests(Path("fleet.toml"), [sys.executable, "-c", code])


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("has not come")


def planned(code: str) -> dict[str, Any]:
    return asyncio.run(program(code).plan("activate", ["web-1", "web-2"], ["--at-once=2"]))


def ordered(code: str) -> dict[str, Any]:
    return asyncio.run(program(code).order("activate", ["web-1", "web-2"], ["--at-once=2"], "ab" * 16))


def test_a_plan_is_a_dry_run_on_the_hosts() -> None:
    told = planned(ECHO)
    assert told["argv"] == [
        "activate", "--at-once=2", "--host", "web-1", "--host", "web-2", "--dry-run", "--json",
    ]  # fmt: skip


def test_an_order_is_what_was_planned_and_is_expected_to_be_it() -> None:
    told = ordered(ECHO)
    assert told["argv"] == [
        "activate", "--at-once=2", "--host", "web-1", "--host", "web-2",
        "--yes", "--expect-hosts", "2", "--expect-plan", "ab" * 16, "--no-wait", "--json",
    ]  # fmt: skip


def test_an_order_has_a_session_of_its_own_and_no_pipe() -> None:
    told = ordered(ECHO + "\nassert os.path.isfile('/proc/self/fd/1') or not os.path.exists('/proc')\n")
    assert told["sid"] == told["pid"] != os.getsid(0)


def test_what_only_changes_the_database_is_said() -> None:
    def said(code: str) -> str:
        return asyncio.run(program(code).run_plain("hold", ["web-1", "web-2"], ["--reason=a b"]))

    assert said("import sys; print(sys.argv[1:])") == str(["hold", "--reason=a b", "--", "web-1", "web-2"])
    assert said("print('web-1: held, a b\\nweb-2: held, a b')") == "hold: 2 hosts, held, a b"
    both = "print('web-1: held, a\\nweb-2: already held, a')"
    assert said(both) == "hold: 2 hosts, 1 held, a, 1 already held, a"
    with pytest.raises(RequestFailed, match=r"^the database: locked$"):
        said("import sys; print('fleetctl: the database: locked', file=sys.stderr); sys.exit(2)")


FAILURES = [
    ("import sys; print('fleetctl: it is locked', file=sys.stderr); sys.exit(4)", "it is locked"),
    (
        "import sys; print('Usage: x\\n\\nError: no such option', file=sys.stderr); sys.exit(2)",
        "no such option",
    ),
    ("print('nonsense')", "nothing: fleetctl ended with 0"),
    ("print('[1]')", "nothing: fleetctl answered with something else than fleetctl.order/1"),
    (
        'print(\'{"schema": "other/1"}\')',
        "nothing: fleetctl answered with something else than fleetctl.order/1",
    ),
    ("import os; os.kill(os.getpid(), 9)", "nothing: fleetctl was killed by signal 9"),
    (
        "import sys; print('KeyError: 1\\nfleetctl: this is a bug', file=sys.stderr); sys.exit(70)",
        "nothing: fleetctl ended with a bug: KeyError: 1",
    ),
    ("import sys; print('odd', file=sys.stderr); sys.exit(9)", "nothing: odd"),
]


@pytest.mark.parametrize(("code", "words"), FAILURES)
def test_every_failure_is_one_sentence(code: str, words: str) -> None:
    for call, nothing in ((planned, "no plan was made"), (ordered, "no order was given")):
        with pytest.raises(RequestFailed) as caught:
            call(code)
        assert str(caught.value) == words.replace("nothing", nothing)


def test_a_program_that_is_not_there_is_a_sentence() -> None:
    requests = Requests(Path("fleet.toml"), ["/nonexistent/fleetctl"])
    for call in (requests.plan("stage", ["a"], []), requests.order("stage", ["a"], [], "ab")):
        with pytest.raises(RequestFailed, match=r"^fleetctl could not be started: No such file"):
            asyncio.run(call)


def test_more_hosts_than_a_command_line_takes_is_a_sentence() -> None:
    hosts = [f"host-{number:0200}" for number in range(20_000)]
    with pytest.raises(RequestFailed, match="could not be started: Argument list too long"):
        asyncio.run(program(ECHO).plan("stage", hosts, []))


def test_refused_hosts_have_an_exit_code_and_are_a_plan_all_the_same() -> None:
    assert planned(ECHO + "\nsys.exit(4)")["schema"] == "fleetctl.order/1"


def test_a_plan_that_nobody_waits_for_ends(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    code = (
        f"import os, time, pathlib; pathlib.Path({str(begun)!r}).write_text(str(os.getpid())); time.sleep(60)"
    )

    async def give_up() -> int:
        task = asyncio.create_task(program(code).plan("stage", ["a"], []))
        await until(lambda: begun.exists() and bool(begun.read_text()))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return int(begun.read_text())

    pid = asyncio.run(give_up())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_order_outlives_whoever_waits_for_it(tmp_path: Path) -> None:
    begun, go, done = (tmp_path / name for name in ("begun", "go", "done"))
    code = (
        "import pathlib, time, sys\n"
        f"pathlib.Path({str(begun)!r}).touch()\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n"
        "print('x' * 100000); print('y' * 100000, file=sys.stderr)\n"
        f"pathlib.Path({str(done)!r}).touch()\n"
    )

    async def give_up() -> None:
        task = asyncio.create_task(program(code).order("stage", ["a"], [], "ab"))
        await until(begun.exists)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with pytest.warns(ResourceWarning, match="still running"):
        asyncio.run(give_up())
    go.touch()
    asyncio.run(until(done.exists))


def test_a_real_plan_is_read(tmp_path: Path, use_lab_time: Callable[[OrderLab], OrderLab]) -> None:
    document = dry_run(use_lab_time(lab_in(tmp_path, "staged")), Asked(Verb.ACTIVATE))
    assert planned(f"print({json.dumps(document)!r})") == document
