"""The simulated hosts' answers against the real probe's own text, and against recorded tool output."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.facts import Operation, SlotName
from collectors.probe import LIMIT_BYTES, ROOT_ARGV, UNITS, Frame, probe_command, read_frame
from console.demo import commands, tools
from console.demo.answers import JOURNAL_WORDS, answer
from console.demo.healthy import OLD_LTS, Flavour, HostSpec, healthy
from console.demo.hostile import FLOOD_BYTES, PLANTED_SECRETS
from console.demo.scenarios import SCENARIOS, SELECTABLE
from console.demo.world import Engine, JournalLine, SimulatedHost

START = datetime(2026, 8, 18, 10, 20, 30, tzinfo=UTC)
MARK = "0123456789abcdef"
OPTIONAL = {"updater", "containerd", "docker", "lock"}
"""Sections that depend on what is on the host."""


def built(name: str, flavour: Flavour | None = None, host: str = "edge-fra-01") -> SimulatedHost:
    scenario = SELECTABLE[name]
    return scenario.build(HostSpec(host, START, flavour or scenario.flavour))


def frame_of(host: SimulatedHost, units: tuple[str, ...] = ()) -> Frame:
    return read_frame(answer(host, MARK, START, units=units), MARK)


def order(output: bytes) -> list[str]:
    found = re.findall(rf"^{MARK} B (\w+)$".encode(), output, flags=re.MULTILINE)
    return [name.decode() for name in found if name.decode() not in OPTIONAL]


needs_bash = pytest.mark.skipif(
    shutil.which("/bin/bash") is None or shutil.which("timeout") is None,
    reason="compares with the probe's own text, which needs bash and timeout",
)


@pytest.fixture(scope="module")
def ran_here() -> bytes:
    """What the probe answers on this machine, the root part run without sudo."""
    mark = f"{MARK}\n".encode()
    main = subprocess.run(["/bin/bash", "-c", probe_command()], input=mark, capture_output=True, check=True)
    root = subprocess.run(ROOT_ARGV, input=mark, capture_output=True, check=True)
    sections = main.stdout.partition(f"{MARK} B gpt_A\n".encode())[0]
    if b" B sudo\n" in sections:
        sections = sections.partition(f"{MARK} B sudo\n".encode())[0]
    return sections + root.stdout + main.stdout[main.stdout.index(f"{MARK} B sudo\n".encode()) :]


@needs_bash
def test_sections_come_in_the_order_of_the_probes_own_text(ran_here: bytes) -> None:
    assert order(answer(built("current"), MARK, START)) == order(ran_here)


@needs_bash
def test_frame_around_sections_is_the_probes_own(ran_here: bytes) -> None:
    def bones(output: bytes) -> list[str]:
        marks = re.findall(rf"^{MARK} ([VBERZ])".encode(), output, flags=re.MULTILINE)
        return [kind.decode() for kind in marks]

    ours = bones(answer(built("staged"), MARK, START))
    theirs = bones(ran_here)
    assert ours[:3] == theirs[:3] == ["V", "B", "E"]
    assert ours[-4:] == theirs[-4:] == ["R", "B", "E", "Z"]


@needs_bash
@pytest.mark.parametrize("section", ["ids", "flags"])
def test_keys_of_listed_values_are_the_probes_own(ran_here: bytes, section: str) -> None:
    def keys(frame: Frame) -> list[str]:
        lines = frame.sections[section].content.decode().splitlines()
        return [line.split("\t")[0] for line in lines if not line.startswith("time_synced")]

    assert keys(frame_of(built("current"))) == keys(read_frame(ran_here, MARK))


def test_journal_is_filtered_for_the_words_of_the_probe() -> None:
    assert "Update failed" in JOURNAL_WORDS.split("|")
    assert len(JOURNAL_WORDS.split("|")) > 10


def test_root_login_needs_no_sudo() -> None:
    host = replace(built("current"), has_sudo=False)
    frame = read_frame(answer(host, MARK, START, uid=0), MARK)
    assert frame.privileged
    assert frame.complete
    assert frame.uid == 0


def test_units_of_the_fleet_file_are_answered_after_the_probes_own() -> None:
    records = frame_of(built("current"), units=("etcd.service",)).sections["units"].content.decode()
    ids = re.findall(r"^Id=(.*)$", records, flags=re.MULTILINE)
    assert ids == [*UNITS, "etcd.service"]
    assert records.count("\n\n") == len(UNITS)


def test_updater_is_asked_only_where_the_server_is_the_host_itself() -> None:
    assert [name for name in SCENARIOS if "updater" in frame_of(built(name)).sections] == ["residue"]


# -- shapes against recordings -----------------------------------------------------------------


def test_busctl_answer_is_the_recorded_one() -> None:
    checked = datetime.fromtimestamp(1795409370, UTC)
    engine = Engine(
        operation=Operation.DOWNLOADING,
        progress=2.412823457493662726581e-01,
        new_version="4230.2.4",
        new_size_bytes=65255599,
        last_checked_at=checked,
    )
    recorded = (
        '{"type":"xdssx","data":[1795409370,2.412823457493662726581e-01,'
        '"UPDATE_STATUS_DOWNLOADING","4230.2.4",65255599]}\n'
    )
    assert tools.busctl_status(replace(built("current"), engine=engine)).content.decode() == recorded


def test_busctl_answer_after_a_restart_is_the_recorded_one() -> None:
    recorded = (
        '{"type":"xdssx","data":[0,0.000000000000000000000e+00,'
        '"UPDATE_STATUS_UPDATED_NEED_REBOOT","0.0.0",0]}\n'
    )
    assert frame_of(built("staged_restarted")).sections["status"].content.decode() == recorded


def test_cgpt_entry_has_the_recorded_form() -> None:
    recorded = (
        "       start        size    part  contents\n"
        '       40960      550000       3  Label: "USR-A"\n'
        "                                  Type: Alias for coreos-rootfs\n"
        "                                  UUID: 7130C94A-213A-4E5A-8E26-6CCE9662F132\n"
        "                                  Attr: priority=1 tries=0 successful=1\n"
    )
    entry = tools.cgpt_show(built("never_updated"), built("never_updated").running or SlotName.A)
    text = entry.content.decode()
    assert [len(line) for line in text.splitlines()[:1]] == [len(recorded.splitlines()[0])]
    normal = re.sub(r'^( *\d+)( *\d+)( +)[34]  Label: "USR-[AB]"$', "SIZES", text, flags=re.MULTILINE)
    expected = re.sub(r'^( *\d+)( *\d+)( +)3  Label: "USR-A"$', "SIZES", recorded, flags=re.MULTILINE)
    uuid = re.compile(r"UUID: [0-9A-F-]{36}")
    assert uuid.sub("UUID", normal) == uuid.sub("UUID", expected)
    columns = re.search(r"^(.{12})(.{12})(.{8})  Label", text, flags=re.MULTILINE)
    assert columns is not None


def test_journal_line_has_the_recorded_form() -> None:
    recorded = re.compile(
        r"^\d{10}\.\d{6} \S+ update_engine\[\d+\]: "
        r"[IEW]\d{8} \d\d:\d\d:\d\d\.\d{6} {1,5}\d+ [a-z_]+\.cc:\d+\] \S.*$"
    )
    lines = frame_of(built("failed")).sections["journal"].content.decode().splitlines()[1:]
    assert lines
    assert all(recorded.match(line) for line in lines)


def test_older_updaters_write_no_year() -> None:
    lines = frame_of(built("rollback_available")).sections["journal"].content.decode().splitlines()[1:]
    assert all(re.search(r"\]: [IE]\d{4} \d\d:", line) for line in lines)


def test_os_release_has_the_recorded_keys_in_their_order() -> None:
    recorded = (
        "NAME ID ID_LIKE VERSION VERSION_ID BUILD_ID SYSEXT_LEVEL PRETTY_NAME ANSI_COLOR HOME_URL"
        " BUG_REPORT_URL FLATCAR_BOARD CPE_NAME"
    ).split()
    lines = frame_of(built("current")).sections["os"].content.decode().splitlines()
    assert [line.split("=")[0] for line in lines] == recorded
    assert lines[3] == "VERSION=4593.2.5"
    assert lines[7].endswith(' 4593.2.5 (Oklo)"')


def test_os_release_from_4694_on_quotes_everything() -> None:
    lines = frame_of(built("degraded")).sections["os"].content.decode().splitlines()
    assert all(re.fullmatch(r'[A-Z_]+="[^"]*"', line) for line in lines)
    assert 'PRETTY_NAME="Flatcar Container Linux by Kinvolk 4757.1.0"' in lines
    assert any(line.startswith("SUPPORT_URL=") for line in lines)


@pytest.mark.parametrize(
    ("flavour", "systemd", "nothing", "lists_links"),
    [
        (Flavour(channel=OLD_LTS), "252.11", "none", True),
        (Flavour(channel="lts"), "255.8", "none", True),
        (Flavour(), "257.9", "none", True),
        (Flavour(channel="beta"), "260.1", [], False),
    ],
)
def test_sysext_json_has_its_systemds_form(
    flavour: Flavour, systemd: str, nothing: object, lists_links: bool
) -> None:
    host = healthy(HostSpec("edge-fra-01", START, replace(flavour, kubernetes=True)))
    frame = frame_of(host)
    status = json.loads(frame.sections["sysext"].content)
    listed = json.loads(frame.sections["sysext_list"].content)
    assert f"Version={systemd}\n" in frame.sections["manager"].content.decode()
    assert status[0] == {"hierarchy": "/opt", "extensions": nothing, "since": None}
    assert "kubernetes" in status[1]["extensions"]
    path = next(row["path"] for row in listed if row["name"] == "kubernetes")
    assert path.startswith("/etc/extensions/") == lists_links


def test_host_without_builtin_extensions_still_has_docker() -> None:
    frame = frame_of(healthy(HostSpec("edge-fra-01", START, Flavour(channel=OLD_LTS))))
    assert json.loads(frame.sections["sysext_list"].content) == []
    assert frame.sections["docker"].content == b"Docker version 20.10.23, build b8034c0ed7\n"


@pytest.mark.parametrize(
    ("disk", "third"), [("sda", "/dev/sda3"), ("nvme0n1", "/dev/nvme0n1p3"), ("vda", "/dev/vda3")]
)
def test_partition_names_follow_the_disk(disk: str, third: str) -> None:
    frame = frame_of(healthy(HostSpec("edge-fra-01", START, Flavour(disk=disk))))
    assert frame.sections["slotdevs"].content.decode().splitlines()[0] == third


def test_df_columns_have_the_form_of_df() -> None:
    lines = frame_of(built("first_boot_armed")).sections["df"].content.decode().splitlines()
    assert lines[0].split() == ["Mounted", "on", "Type", "1B-blocks", "Used", "Avail"]
    assert {len(line) for line in lines} == {len(lines[0])}
    assert [line.split()[0] for line in lines[1:]] == ["/", "/oem", "/boot"]
    for line in lines[1:]:
        size, used, available = (int(number) for number in line.split()[2:])
        assert 0 < used + available <= size


def test_long_journal_keeps_its_end_as_tail_does() -> None:
    host = built("current")
    many = tuple(
        JournalLine(START + timedelta(seconds=number), f"No update. {number}") for number in range(900)
    )
    kept = frame_of(replace(host, journal=many)).sections["journal"].content
    assert kept.startswith(b"whole 0\n")
    assert len(kept.partition(b"\n")[2]) == 4096
    assert kept.endswith(b"No update. 899\n")


# -- hostile hosts -----------------------------------------------------------------------------


def hostile_hosts() -> dict[bool, SimulatedHost]:
    """One that floods and one that does not."""
    hosts = [built("hostile", host=f"edge-fra-{number:02}") for number in range(1, 12)]
    return {len(host.overrides["docker"].content) > FLOOD_BYTES: host for host in hosts}


def test_hostile_host_plants_every_secret_and_every_trick() -> None:
    output = answer(hostile_hosts()[False], MARK, START)
    assert [secret for secret in PLANTED_SECRETS if secret.encode() not in output] == []
    for trick in (
        b"\x1b[2J",
        b"\x1b]0;",
        b"\\u001b",
        b"[bold red",
        b"$(reboot)",
        "\u202e".encode(),
        b"\xff",
        b"\0\n",
    ):
        assert trick in output
    assert read_frame(output, MARK).complete


def test_flooding_host_exceeds_what_a_probe_may_take_after_telling_its_secrets() -> None:
    output = answer(hostile_hosts()[True], MARK, START)
    assert len(output) > LIMIT_BYTES
    assert max(len(line) for line in output.split(b"\n")) >= 1024 * 1024
    assert PLANTED_SECRETS[0].encode() in output[:LIMIT_BYTES]
    assert not read_frame(output[:LIMIT_BYTES], MARK).complete


# -- commands ----------------------------------------------------------------------------------


@given(st.lists(st.text(min_size=1).filter(lambda text: "\0" not in text), max_size=4))
def test_probe_is_known_with_any_units(units: list[str]) -> None:
    assert commands.probe_units(probe_command(tuple(units))) == tuple(units)


@pytest.mark.parametrize(
    "change", [("timeout -k 1 4", "timeout -k 1 5"), ("exec ", ""), ("--norc", "--rcfile x")]
)
def test_another_text_is_not_the_probe(change: tuple[str, str]) -> None:
    assert commands.probe_units(probe_command().replace(*change, 1)) is None
    assert commands.probe_units(probe_command() + "x") is None
    assert commands.probe_units(probe_command() + " 'unclosed") is None


@pytest.mark.parametrize(
    ("command", "stdout", "stderr", "status"),
    [
        ("true", "", "", 0),
        ("", "", "", 0),
        ("reboot now", "", "bash: reboot: command not found\n", 127),
        ("echo 'unclosed", "", "bash: -c: line 1: unexpected EOF while looking for matching quote\n", 2),
    ],
)
def test_commands_beside_the_probe(command: str, stdout: str, stderr: str, status: int) -> None:
    assert commands.reply(built("current"), command) == (stdout, stderr, status)


def test_client_status_has_its_five_lines() -> None:
    stdout, stderr, status = commands.reply(built("staging"), "update_engine_client -status")
    assert [line.split("=")[0] for line in stdout.splitlines()] == [
        "LAST_CHECKED_TIME",
        "PROGRESS",
        "CURRENT_OP",
        "NEW_VERSION",
        "NEW_SIZE",
    ]
    assert "PROGRESS=0.460000\n" in stdout
    assert (stderr, status) == ("", 0)


def test_client_status_of_a_refused_user_is_null_and_ends_with_zero() -> None:
    stdout, stderr, status = commands.reply(built("status_null"), "update_engine_client -status")
    assert "CURRENT_OP=(null)\nNEW_VERSION=(null)\n" in stdout
    assert "Rejected send message" in stderr
    assert status == 0


def test_client_status_without_a_daemon_fails() -> None:
    stdout, stderr, status = commands.reply(built("engine_down"), "update_engine_client -status")
    assert (stdout, status) == ("", 1)
    assert "Giving up" in stderr
