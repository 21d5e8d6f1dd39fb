"""update.conf, as update_engine and locksmithd read it."""

from __future__ import annotations

import pytest

from collectors.parse.update_conf import (
    DEFAULT_SERVER,
    effective_group,
    effective_server,
    parse_update_conf,
    server_kind,
)

SALT = b"salt"


def test_update_conf_is_read_as_its_two_readers_do() -> None:
    conf = parse_update_conf(
        "# comment\nGROUP=stable\nGROUP='beta'\nSERVER=disabled\n  REBOOT_STRATEGY = \"off\" \n"
        "; comment\nREBOOT_WINDOW_START='Sun 4:00'\nLOCKSMITHD_REBOOT_WINDOW_LENGTH=1h\\\n30m\n"
        "MACHINE_ALIAS=a b\nUNKNOWN=1\n",
        salt=SALT,
    )
    assert (conf.group, conf.server, conf.machine_alias) == ("beta", "disabled", "a b")
    assert (conf.reboot_strategy, conf.window_start, conf.window_length) == ("off", "Sun 4:00", "1h30m")
    assert conf.odd_lines == ("GROUP=stable", "LOCKSMITHD_REBOOT_WINDOW_LENGTH=1h\\")


@pytest.mark.parametrize(
    ("line", "group"),
    [
        ("GROUP=beta # canary", "beta # canary"),
        ("GROUP=beta ", "beta "),
        ("GROUP= beta", " beta"),
        ("GROUP=beta\r", "beta\\r"),
        ('GROUP="beta', '"beta'),
        ('GROUP="beta" # canary', '"beta" # canary'),
        (" GROUP=beta", None),
        ("export GROUP=beta", None),
        ("GROUP = beta", None),
        ("group=beta", None),
        ("GROUP: beta", None),
        ("\ufeffGROUP=beta", None),
    ],
)
def test_line_that_update_engine_takes_otherwise_is_odd(line: str, group: str | None) -> None:
    conf = parse_update_conf(f"{line}\n", salt=SALT)
    assert conf.group == group
    assert len(conf.odd_lines) == 1
    assert conf.odd_lines[0].isprintable()


@pytest.mark.parametrize(
    "text", ["", "GROUP=", 'GROUP="beta"\n', "#GROUP=beta\n", "OTHER = x\n", "  REBOOT_STRATEGY=off\n"]
)
def test_plain_lines_are_not_odd(text: str) -> None:
    assert parse_update_conf(text, salt=SALT).odd_lines == ()


def test_carriage_returns_stay_visible_to_update_engine_and_not_to_locksmith() -> None:
    text = f"SERVER={DEFAULT_SERVER}\r\nREBOOT_STRATEGY=off\r\n"
    conf = parse_update_conf(text, salt=SALT)
    assert conf.server == f"{DEFAULT_SERVER}\\r"
    assert conf.reboot_strategy == "off"
    (odd,) = conf.odd_lines
    assert odd.startswith("SERVER=[redacted ")


def test_unclosed_quote_swallows_the_rest_for_locksmith() -> None:
    conf = parse_update_conf('LOCKSMITHD_REBOOT_WINDOW_START="Sun 4:00\nREBOOT_STRATEGY=off\n', salt=SALT)
    assert conf.reboot_strategy is None
    assert "REBOOT_STRATEGY=off" in conf.odd_lines


def test_empty_prefixed_window_falls_back_to_the_old_name() -> None:
    text = "LOCKSMITHD_REBOOT_WINDOW_START=\nREBOOT_WINDOW_START=04:00\nREBOOT_WINDOW_LENGTH=1h\n"
    conf = parse_update_conf(text, salt=SALT)
    assert (conf.window_start, conf.window_length) == ("04:00", "1h")


@pytest.mark.parametrize(
    "server",
    [
        "https://admin:hunter22@nebraska.example/v1/update/",
        "https://admin:hunter 22@nebraska.example/v1/update/",
        "https://nebraska.example/v1/update/hunter22?x=hunter22",
    ],
)
def test_server_is_redacted_and_its_host_kept(server: str) -> None:
    conf = parse_update_conf(
        f"SERVER={server}\n DOWNLOAD_USER=hunter22\nexport DOWNLOAD_PASSWORD='hunter22'\n", salt=SALT
    )
    assert conf.server is not None
    assert "nebraska.example/v1/update/" in conf.server
    assert "hunter" not in repr(conf)
    assert "22" not in conf.server.replace("[redacted", "").partition("]")[2]
    assert server_kind(conf.server) == "custom"
    assert [line.partition("=")[0] for line in conf.odd_lines] == [
        " DOWNLOAD_USER",
        "export DOWNLOAD_PASSWORD",
    ]


def test_odd_lines_are_bounded() -> None:
    conf = parse_update_conf(" GROUP=x\n" * 10_000, salt=SALT)
    assert len(conf.odd_lines) == 50


def test_own_value_wins_key_by_key_and_an_empty_one_too() -> None:
    image = parse_update_conf(f"SERVER={DEFAULT_SERVER}\nGROUP=stable\n", salt=SALT)
    own = parse_update_conf("GROUP=\n", salt=SALT)
    assert effective_group(own, image) == ""
    assert effective_server(own, image) == DEFAULT_SERVER
    assert effective_group(None, image) == "stable"
    assert effective_server(None, None) is None


@pytest.mark.parametrize(
    ("server", "kind"),
    [
        (None, "unset"),
        (DEFAULT_SERVER, "default"),
        ("https://Public.Update.Flatcar-Linux.net:443/v1/update", "public"),
        ("", "disabled"),
        ("disabled", "disabled"),
        ("http://", "disabled"),
        ("http://localhost:9090/update", "localhost"),
        ("http://127.0.0.53/update", "localhost"),
        ("http://[::1]:9090/update", "localhost"),
        ("https://[redacted 0a1b2c]@localhost/x", "localhost"),
        ("http://[2001:db8::1]:9090/update", "custom"),
        ("https://nebraska.example/v1/update/", "custom"),
        ("https://public.update.flatcar-linux.net.evil.example/", "custom"),
    ],
)
def test_server_kind(server: str | None, kind: str) -> None:
    assert server_kind(server) == kind


@pytest.mark.parametrize(
    "line",
    [
        "SERVER=user:S3cret@h/v1/update",
        "SERVER=//user:S3cret@h",
        "SERVER=https:/user:S3cret@h",
        "SERVER=https://u:a S3cret@h",
        "SERVER = https://u:pa S3cret@h",
        "export SERVER=https://u:x S3cret@h",
        'SERVER="https://u:a S3cret@h',
        "PCR_POLICY_SERVER = https://u:a S3cret@h",
        "SERVER=https://h/v1/update/a S3cret",
        "SERVER=https://h//v1//update//S3cret",
        "SERVER=https://h/v1%2fupdate/S3cret",
    ],
)
def test_no_shape_of_an_address_keeps_its_secret(line: str) -> None:
    assert "S3cret" not in repr(parse_update_conf(f"{line}\n", salt=SALT))
