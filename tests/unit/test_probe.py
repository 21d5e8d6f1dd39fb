"""The probe's frame: complete, not forgeable, and run by a real shell."""

from __future__ import annotations

import subprocess

from hypothesis import given
from hypothesis import strategies as st

from collectors.probe import (
    PROBE_TEXT,
    PROBE_VERSION,
    ROOT_ARGV,
    ROOT_TEXT,
    UNITS,
    probe_command,
    read_frame,
)

MARK = "0123456789abcdef0123456789abcdef"
GOOD = (
    f"noise\n{MARK} V {PROBE_VERSION} 500\n{MARK} B os\nID=flatcar\n\n{MARK} E 0\n"
    f"{MARK} B conf\n\n{MARK} E 1\n{MARK} B gpt_A\nx\n{MARK} E 0\n{MARK} R 1\n{MARK} B sudo\n\n{MARK} E 0\n"
    f"{MARK} Z 3\n"
).encode()


def run_probe(mark: str = MARK, *units: str) -> bytes:
    """The probe as sshd would start it: through a login shell, the mark on stdin."""
    done = subprocess.run(
        ["/bin/sh", "-c", probe_command(units)], input=mark.encode() + b"\n", capture_output=True, timeout=20
    )
    assert done.returncode == 0
    return done.stdout


def test_a_real_shell_answers_every_section_and_closes() -> None:
    frame = read_frame(run_probe(MARK, "chronyd.service"), MARK)
    assert frame.complete
    assert frame.version == PROBE_VERSION
    assert {"os", "conf", "ids", "status", "units", "sysext", "links", "df", "sudo"} <= set(frame.sections)
    assert frame.sections["os"].exit_status == 0
    assert b"ID=" in frame.sections["os"].content


def test_a_frame_gives_content_without_the_line_end_it_added() -> None:
    frame = read_frame(GOOD, MARK)
    assert frame.sections["os"].content == b"ID=flatcar\n"
    assert frame.sections["conf"] == frame.sections["conf"].__class__(b"", 1)
    assert (frame.complete, frame.privileged, frame.uid) == (True, True, 500)


def test_every_cut_before_the_last_line_is_incomplete() -> None:
    assert all(not read_frame(GOOD[:length], MARK).complete for length in range(len(GOOD) - 1))


def test_an_answer_without_the_root_part_is_complete_and_not_privileged() -> None:
    root = f"{MARK} B gpt_A\nx\n{MARK} E 0\n{MARK} R 1\n".encode()
    frame = read_frame(GOOD.replace(root, b""), MARK)
    assert frame.complete
    assert not frame.privileged


def test_a_lost_section_in_the_middle_is_noticed() -> None:
    lost = GOOD.replace(f"{MARK} B conf\n\n{MARK} E 1\n".encode(), b"")
    assert not read_frame(lost, MARK).complete


def test_another_versions_probe_is_not_read_as_ours() -> None:
    other = GOOD.replace(b" V 1 500", b" V 99 500")
    assert not read_frame(other, MARK).complete


@given(st.binary(max_size=400))
def test_no_content_can_open_close_or_fake_a_section(content: bytes) -> None:
    hostile = b"0" * 32 + b" B gpt_A\n" + content + b"\nMARK E 0\n" + b"f" * 32 + b" Z 3\n"
    answer = GOOD.replace(b"ID=flatcar\n", hostile)
    frame = read_frame(answer, MARK)
    assert frame.sections["os"].content == hostile
    assert frame.sections["gpt_A"].content == b"x"
    assert frame.complete


@given(st.binary(max_size=2000))
def test_reading_a_frame_never_raises(output: bytes) -> None:
    assert not read_frame(output, MARK).complete


def test_the_first_of_two_sections_of_one_name_counts() -> None:
    twice = GOOD.replace(f"{MARK} B conf\n".encode(), f"{MARK} B os\n".encode())
    assert read_frame(twice, MARK).sections["os"].content == b"ID=flatcar\n"


def test_the_probe_only_reads() -> None:
    for word in ("cgpt next", "update_engine_client", "prioritize", "mount ", "curl -", "wget", " rm ", ">/"):
        assert word not in PROBE_TEXT.replace(">/dev/null", "").replace(">&1", "")
    assert "--auto-start=no" in PROBE_TEXT


def test_what_sudo_runs_is_one_line_and_always_the_same() -> None:
    assert "\n" not in ROOT_TEXT
    assert ROOT_TEXT in PROBE_TEXT.replace("'\"'\"'", "'")
    assert ROOT_ARGV[-1].endswith(f"/{PROBE_VERSION}")
    assert MARK not in probe_command(UNITS)


def test_a_unit_name_is_an_argument_and_never_shell_text() -> None:
    output = run_probe(MARK, "x;touch /tmp/never$(id)`id`.service")
    assert read_frame(output, MARK).complete
