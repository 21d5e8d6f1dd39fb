"""Units, the manager, failures, times and version lines."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from collectors.errors import ParseError
from collectors.facts import Unit
from collectors.parse.units import (
    Manager,
    parse_failed,
    parse_manager,
    parse_show,
    parse_systemctl_status,
    parse_timestamp,
    parse_version_line,
)


def test_show() -> None:
    assert parse_show(
        "Result=success\nId=update-engine.service\nLoadState=loaded\nActiveState=active\nSubState=running\n"
        "UnitFileState=enabled\n\n"
        "Id=locksmithd.service\nLoadState=masked\nActiveState=inactive\nSubState=dead\nUnitFileState=masked\n\n"
        "Id=docker.socket\nLoadState=loaded\nActiveState=a-new-word\nSubState=listening\nUnitFileState=\n\n"
        "LoadState=loaded\nActiveState=active\nSubState=running\n\n"
        "Id=kubelet.service\nLoadState=not-found\nActiveState=inactive\nSubState=de"
    ) == {
        "update-engine.service": Unit("loaded", "active", "running", "enabled", "success"),
        "locksmithd.service": Unit("masked", "inactive", "dead", "masked"),
        "docker.socket": Unit("loaded", "a-new-word", "listening"),
    }
    with pytest.raises(ParseError, match="no property"):
        parse_show("Failed to connect to bus: Host is down\n")


@pytest.mark.parametrize(
    ("text", "manager"),
    [
        ("Version=257.9\nNFailedUnits=0\nSystemState=running\n", Manager("257.9", "running", 0)),
        (
            "Version=252.39-1~deb12u2\nSystemState=degraded\nNFailedUnits=2\n",
            Manager("252.39", "degraded", 2),
        ),
        ("SystemState=starting\nNFailedUnits=1", Manager(None, "starting", None)),
    ],
)
def test_manager(text: str, manager: Manager) -> None:
    assert parse_manager(text) == manager


@pytest.mark.parametrize("text", ["", "SystemState=happy\n", "NFailedUnits=-1\n", "NFailedUnits=x\n"])
def test_manager_in_no_known_form(text: str) -> None:
    with pytest.raises(ParseError, match="systemctl show"):
        parse_manager(text)


FAILED_ROWS = "● a.service loaded failed failed A\n● x-b\\x2dc.mount not-found failed failed /b\n"


@pytest.mark.parametrize(
    "text",
    [
        '[{"unit":"a.service","load":"loaded","active":"failed","sub":"failed","description":"A"},'
        '{"unit":"x-b\\\\x2dc.mount","active":"failed"},{"unit":"ok.service","active":"active"}]',
        FAILED_ROWS,
        FAILED_ROWS.replace("● ", ""),
        FAILED_ROWS.replace("● ", "* ") + "  ok.service loaded active running Fine\n",
        "  UNIT LOAD ACTIVE SUB DESCRIPTION\n"
        + FAILED_ROWS
        + "\nLOAD   = Reflects whether the unit definition was properly loaded.\n2 loaded units listed.\n",
    ],
)
def test_failed_units(text: str) -> None:
    assert parse_failed(text) == ("a.service", "x-b\\x2dc.mount")


@pytest.mark.parametrize(
    "text", ["[]", "[]\n", "0 loaded units listed.\n", "UNIT LOAD ACTIVE SUB DESCRIPTION\n"]
)
def test_no_failed_units(text: str) -> None:
    assert parse_failed(text) == ()


@pytest.mark.parametrize(
    "text", ["", "[", '[{"unit":"a.service"}]', "Failed to connect to bus\n", "● a.service loaded"]
)
def test_silence_is_not_no_failed_units(text: str) -> None:
    with pytest.raises(ParseError, match="systemctl list-units"):
        parse_failed(text)


def test_status_of_two_units() -> None:
    first, second = parse_systemctl_status(
        "● docker.socket - Docker Socket for the API\n"
        "     Loaded: loaded (/usr/lib/systemd/system/docker.socket; enabled; preset: enabled)\n"
        "    Drop-In: /etc/systemd/system/docker.socket.d\n"
        "             └─10-a.conf, 20-b.conf\n"
        "     Active: active (listening) since Mon 2026-11-23 04:55:39 UTC; 1h ago\n"
        "\n"
        "Nov 23 04:55:39 h systemd[1]: Listening on docker.socket.\n"
        "\n"
        "× xfs.service\n"
        "     Loaded: loaded (/etc/systemd/system/xfs.service; static)\n"
        "     Active: activating (auto-restart) (Result: exit-code) since Mon 2026-11-23 04:55:39 CET; 1s\n"
        "   Main PID: 7 (code=killed, signal=KILL)\n"
    )
    assert (first.unit, first.file_state, first.sub) == ("docker.socket", "enabled", "listening")
    assert first.since == datetime(2026, 11, 23, 4, 55, 39, tzinfo=UTC)
    assert first.fields["Drop-In"] == ("/etc/systemd/system/docker.socket.d", "└─10-a.conf, 20-b.conf")
    assert first.journal == ("Nov 23 04:55:39 h systemd[1]: Listening on docker.socket.",)
    assert (second.unit, second.file_state, second.active) == ("xfs.service", "static", "activating")
    assert (second.sub, second.result, second.exit) == ("auto-restart", "exit-code", "KILL")
    assert (second.since, second.since_text) == (None, "Mon 2026-11-23 04:55:39 CET")
    with pytest.raises(ParseError, match="no unit"):
        parse_systemctl_status("Unit nope.service could not be found.\n")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("containerd github.com/containerd/containerd v1.7.21 472731909f\n", "1.7.21"),
        ("$ containerd --version\ncontainerd github.com/containerd/containerd/v2 2.0.5 fb4c30d\n", "2.0.5"),
        ("Docker version 26.1.0, build 9714adc\n", "26.1.0"),
        ("systemd 257 (257.9)\n+PAM +AUDIT\n", "257.9"),
        ("systemd 252 (252.39-1~deb12u2)\n", "252.39"),
    ],
)
def test_version_line(text: str, version: str) -> None:
    assert parse_version_line(text) == version


@pytest.mark.parametrize(
    "text", ["", "Docker version 26.1", "containerd x 1.7", "systemd 257 (257", "containerd --version\n"]
)
def test_version_line_that_is_cut_or_none(text: str) -> None:
    with pytest.raises(ParseError, match="no version"):
        parse_version_line(text)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("Mon 2026-11-23 04:55:39 UTC", datetime(2026, 11, 23, 4, 55, 39, tzinfo=UTC)),
        ("Mon 2026-11-23 04:55:39.123456 UTC", datetime(2026, 11, 23, 4, 55, 39, tzinfo=UTC)),
        ("Mon 2026-11-23 04:55:39 -0330", datetime(2026, 11, 23, 8, 25, 39, tzinfo=UTC)),
        ("Mon 2026-11-23 04:55:39 +03", datetime(2026, 11, 23, 1, 55, 39, tzinfo=UTC)),
        ("Mon 2026-11-23 04:55:39 CEST", None),
        ("Mon 2026-02-31 04:55:39 UTC", None),
        ("Mon 0001-01-01 00:00:00 +09", None),
        ("Mon 2026-11-23 04:55:39 +9900", None),
        ("-", None),
    ],
)
def test_timestamp(text: str, time: datetime | None) -> None:
    assert parse_timestamp(text) == time
