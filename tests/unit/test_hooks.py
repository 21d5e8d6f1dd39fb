"""Hooks: real programs on this machine, good, failing, stubborn, talkative and left behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions import hooks
from actions.hooks import HookEnd, HookWord, end_left, hook_argv, process_mark, run_hook
from collectors.fleet_model import FleetHost, SshSettings, WantedUpdates

SALT = b"salt"
HOST = FleetHost(
    name="db-1",
    address="2001:db8::7",
    address_given=True,
    port=22,
    node="k8s-db-1",
    groups=(),
    labels={},
    hold=None,
    channel=None,
    updates=WantedUpdates.AS_FOUND,
    reboot_deadline_s=600,
    confirm_deadline_s=600,
    ssh=SshSettings(),
)
IGNORES_TERM = (
    "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)"
)


def is_running(pid: int) -> bool:
    """Not gone, and no zombie that a parent has yet to fetch."""
    found = hooks._stat(str(pid))
    return found is not None and found.state not in "ZX"


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def until_holds(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 -- what is waited for is another process
            await asyncio.sleep(0.01)


def ran(*argv: str, timeout_s: float = 10.0, grace_s: float = 0.2, linger_s: float = 0.2) -> HookEnd:
    pids: list[int] = []
    end = asyncio.run(
        run_hook(
            argv, timeout_s=timeout_s, salt=SALT, started=pids.append, grace_s=grace_s, linger_s=linger_s
        )
    )
    assert len(pids) == (end.word is not HookWord.NOT_STARTED)
    return end


def python(code: str, timeout_s: float = 10.0) -> HookEnd:
    return ran(sys.executable, "-c", code, timeout_s=timeout_s)


@pytest.fixture
def helper(tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Starts a shell script in a session of its own whose parent is gone; its pid. Ended after the test."""
    pids: list[int] = []

    def start(script: str) -> int:
        told = tmp_path / f"pid-{len(pids)}"
        code = (
            "import subprocess, sys\n"
            "child = subprocess.Popen(['/bin/sh', '-c', sys.argv[1]], start_new_session=True)\n"
            "open(sys.argv[2], 'w').write(str(child.pid))\n"
        )
        subprocess.run([sys.executable, "-W", "ignore", "-c", code, script, str(told)], check=True)
        pids.append(int(told.read_text()))
        return pids[-1]

    yield start
    for pid in pids:
        if is_running(pid):
            os.killpg(pid, signal.SIGKILL)


# -- argv -------------------------------------------------------------------------------------


def test_placeholders_are_filled_within_words_and_not_in_the_program() -> None:
    words = ("/opt/{host}", "drain", "{node}", "--at={address}:{host}", "{order}", "{other}", "$(id); {")
    assert hook_argv(words, HOST, "o-7") == (
        "/opt/{host}",
        "drain",
        "k8s-db-1",
        "--at=2001:db8::7:db-1",
        "o-7",
        "{other}",
        "$(id); {",
    )


@given(st.lists(st.text(max_size=20), max_size=4), st.text(max_size=20))
def test_what_is_filled_in_is_never_filled_again(words: list[str], order: str) -> None:
    argv = hook_argv(("prog", *words, "{order}"), HOST, "{host}" + order)
    assert argv[-1] == "{host}" + order
    assert len(argv) == len(words) + 2


# -- ends -------------------------------------------------------------------------------------


def test_a_good_hook() -> None:
    end = ran("/bin/sh", "-c", "echo one; echo two >&2")
    assert (end.word, end.status, end.is_good) == (HookWord.ENDED, 0, True)
    assert end.output == "one\ntwo"
    assert end.text == "sh ended with 0: two"
    assert 0 <= end.seconds < 10


def test_a_silent_hook() -> None:
    assert ran("true").text == "true ended with 0"


def test_a_failing_hook_says_its_last_line() -> None:
    end = ran("/bin/sh", "-c", "echo ok; echo 'error: cannot delete Pods'; echo; exit 3")
    assert (end.word, end.status, end.is_good) == (HookWord.ENDED, 3, False)
    assert end.text == "sh ended with 3: error: cannot delete Pods"
    assert len(ran("/bin/sh", "-c", "printf 'x%.0s' $(seq 999)").text) == 200


def test_a_killed_hook() -> None:
    end = ran("/bin/sh", "-c", "kill -9 $$")
    assert (end.word, end.status, end.is_good) == (HookWord.KILLED, 9, False)
    assert end.text == "sh was killed by SIGKILL"


def test_a_hook_that_cannot_be_started(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    odd = tmp_path / "odd"
    odd.write_text("no program")
    odd.chmod(0o700)
    for argv, text in [
        (("/no/such/kubectl",), "kubectl was not started: there is no such program"),
        ((str(plain),), "plain was not started: it may not be run"),
        ((str(odd),), "odd was not started: Exec format error"),
        (("true", "a\0b"), "true was not started: embedded null byte"),
    ]:
        assert ran(*argv) == HookEnd(HookWord.NOT_STARTED, None, "", 0.0, text)


def test_a_hook_has_no_input_no_shell_and_the_consoles_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/etc/kube")
    code = (
        "import os, sys; print(os.environ['KUBECONFIG'], sys.stdin.read() == '', os.getsid(0) == os.getpid())"
    )
    assert python(code).output == "/etc/kube True True"
    assert ran("echo", "$HOME; `id`").output == "$HOME; `id`"


def test_a_hook_that_takes_too_long_is_ended() -> None:
    end = ran("/bin/sh", "-c", "echo begun; sleep 60", timeout_s=0.3)
    assert (end.word, end.status, end.is_good) == (HookWord.TIMED_OUT, None, False)
    assert end.text == "sh took longer than 0.3 s and was ended: begun"
    assert end.seconds < 5


def test_a_hook_that_ends_well_when_told_to_end_is_still_late() -> None:
    end = ran("/bin/sh", "-c", "trap 'exit 0' TERM; echo begun; sleep 60 & wait", timeout_s=0.3)
    assert (end.word, end.is_good) == (HookWord.TIMED_OUT, False)


def test_a_stubborn_hook_and_its_children_are_killed(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    child = f"{IGNORES_TERM}; open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    end = python(
        f"{IGNORES_TERM}; import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])",
        timeout_s=0.5,
    )
    assert end.word is HookWord.TIMED_OUT
    assert not told.exists() or not is_running(int(told.read_text()))


# -- output -----------------------------------------------------------------------------------


def test_much_output_is_cut_in_the_middle_and_redacted() -> None:
    end = python(
        "print('first password=hunter2secret')\n"
        "for number in range(20000): print('line', number, 'password=hunter2secret')\n"
        "print('x' * 400000 + ' token=abcdef0123456789abcdef0123')\n"
        "print('last password=hunter2secret')"
    )
    assert end.is_good
    assert "hunter2secret" not in end.output + end.text
    assert "abcdef0123456789" not in end.output
    assert end.output.startswith("first password=[redacted ")
    assert re.search(r"\nlast password=\[redacted [0-9a-f]{6}\]$", end.output)
    cut = re.search(r"\n\[… (\d+) bytes left out …\]\n", end.output)
    assert cut
    assert 1_000_000 < int(cut[1]) < 1_300_000
    assert len(end.output.encode()) <= hooks.KEPT_BYTES + 64


def test_a_mebibyte_without_a_line_is_read_to_its_end() -> None:
    end = python("import sys; sys.stdout.write('é' * 524288); sys.exit(4)")
    assert end.status == 4
    assert "bytes left out" in end.output


def test_output_at_the_limit_is_whole() -> None:
    size = hooks.KEPT_BYTES
    assert python(f"print('y' * {size}, end='')").output == "y" * size
    assert "[… 1 bytes left out …]" in python(f"print('y' * {size + 1}, end='')").output


def test_hostile_output_is_lines_of_printable_text() -> None:
    code = (
        "import sys; sys.stdout.buffer.write("
        "b'\\x1b[31mred\\x1b[0m\\r\\nbad\\xff\\x00\\x07\\xe2\\x80\\xae\\r\\x1b]0;title\\x07end\\n')"
    )
    end = python(code)
    assert end.output == "red\nbad\ufffd\ufffd\ufffd\ufffd\nend"
    assert end.text == f"{os.path.basename(sys.executable)} ended with 0: end"


@given(st.binary(max_size=400))
def test_any_output_is_lines_of_printable_text(raw: bytes) -> None:
    printed = hooks._Printed()
    printed.data_received(raw)
    output, last = hooks._kept(printed, SALT)
    assert output.replace("\n", "").replace("\t", "").isprintable()
    assert "\n" not in last


def test_a_program_left_in_the_background_holds_nothing_up(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    begun = time.monotonic()
    end = ran("/bin/sh", "-c", f"sleep 60 & echo $! > {told}; echo done")
    pid = int(told.read_text())
    try:
        assert time.monotonic() - begun < 5
        assert (end.is_good, end.output) == (True, "done")
        assert is_running(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


# -- cancelled --------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["import time; print('meek', flush=True)", IGNORES_TERM])
def test_a_cancelled_order_ends_the_group(code: str) -> None:
    async def cancelled() -> int:
        pids: list[int] = []
        argv = [sys.executable, "-c", f"{code}; time.sleep(60)"]
        hook = asyncio.ensure_future(
            run_hook(argv, timeout_s=60, salt=SALT, started=pids.append, grace_s=0.2, linger_s=0.2)
        )
        await until_holds(lambda: bool(pids))
        hook.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hook
        return pids[0]

    assert not is_running(asyncio.run(cancelled()))


def test_cancelled_twice_it_is_killed_at_once(tmp_path: Path) -> None:
    ready = tmp_path / "ready"

    async def cancelled() -> tuple[int, float]:
        pids: list[int] = []
        argv = [sys.executable, "-c", f"{IGNORES_TERM}; open({str(ready)!r}, 'w').close(); time.sleep(60)"]
        hook = asyncio.ensure_future(run_hook(argv, timeout_s=60, salt=SALT, started=pids.append, grace_s=60))
        await until_holds(ready.exists)
        begun = time.monotonic()
        hook.cancel()
        await asyncio.sleep(0.1)
        assert not hook.done()
        hook.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hook
        await until_holds(lambda: not is_running(pids[0]))
        return pids[0], time.monotonic() - begun

    pid, took_s = asyncio.run(cancelled())
    assert not is_running(pid)
    assert took_s < 10


def test_a_hook_whose_start_cannot_be_stored_does_not_go_on() -> None:
    pids: list[int] = []

    def started(pid: int) -> None:
        pids.append(pid)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        asyncio.run(run_hook(["sleep", "60"], timeout_s=60, salt=SALT, started=started, grace_s=0.2))
    assert not is_running(pids[0])


# -- left behind ------------------------------------------------------------------------------


def test_a_mark_is_of_one_process(helper: Callable[[str], int]) -> None:
    first, second = helper("sleep 60"), helper("sleep 60")
    assert process_mark(first) == process_mark(first)
    assert process_mark(first) != process_mark(second)
    assert (process_mark(first) or "").startswith(f"{first}:")
    os.killpg(first, signal.SIGKILL)
    until(lambda: not is_running(first))


def test_a_hook_left_running_is_ended_with_its_children(helper: Callable[[str], int], tmp_path: Path) -> None:
    told = tmp_path / "child"
    pid = helper(f"sleep 60 & echo $! > {told}.new; mv {told}.new {told}; wait")
    until(told.exists)
    mark = process_mark(pid)
    assert mark is not None
    assert asyncio.run(end_left(mark, grace_s=2))
    assert not is_running(pid)
    assert not is_running(int(told.read_text()))
    assert not asyncio.run(end_left(mark, grace_s=2))


def test_a_stubborn_hook_left_running_is_killed(helper: Callable[[str], int], tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    pid = helper(f"trap '' TERM; : > {ready}; while :; do sleep 1; done")
    until(ready.exists)
    assert asyncio.run(end_left(process_mark(pid) or "", grace_s=0.2))
    assert not is_running(pid)


def test_another_process_under_the_same_pid_is_left_alone(helper: Callable[[str], int]) -> None:
    pid = helper("sleep 60")
    number, start, boot = (process_mark(pid) or "").split(":")
    for mark in (f"{number}:{int(start) - 1}:{boot}", f"{number}:{start}:{boot[::-1]}", number, "", "x:1:2"):
        assert not asyncio.run(end_left(mark, grace_s=0.2))
    assert is_running(pid)


def test_a_process_that_leads_no_group_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            assert not asyncio.run(end_left(process_mark(child.pid) or "", grace_s=0.2))
            assert child.poll() is None
        finally:
            child.kill()


def test_without_proc_a_mark_is_a_pid_that_nothing_is_done_about(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, helper: Callable[[str], int]
) -> None:
    pid = helper("sleep 60")
    with monkeypatch.context() as patched:
        patched.setattr(hooks, "_PROC", tmp_path)
        assert process_mark(pid) == str(pid)
        assert not asyncio.run(end_left(str(pid)))
        assert ran("/bin/sh", "-c", "sleep 60", timeout_s=0.2).word is HookWord.TIMED_OUT
    assert is_running(pid)


def test_a_process_that_is_gone_has_no_mark() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert process_mark(child.pid) is None
