"""ssh_config: what is taken, what is passed over with its line, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from collectors.errors import ConfigError
from collectors.ssh_config import SshConfig, read_ssh_config, seconds


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def write(home: Path, text: str, name: str = "config") -> Path:
    path = home / ".ssh" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def read(home: Path, text: str) -> SshConfig:
    return read_ssh_config(write(home, text), home=home)


def said(config: SshConfig, name: str) -> dict[str, list[str]]:
    return {keyword: [value.text for value in values] for keyword, values in config.lookup(name).items()}


def test_the_first_value_wins_and_keys_add_up(home: Path) -> None:
    config = read(
        home,
        """
        Host web
            User first
            IdentityFile ~/a
        Host w*
            User second
            Port 2222
            IdentityFile ~/b
        Host *
            IdentityFile ~/c
            CertificateFile ~/c-cert.pub
        """,
    )
    assert said(config, "web") == {
        "user": ["first"],
        "port": ["2222"],
        "identityfile": ["~/a", "~/b", "~/c"],
        "certificatefile": ["~/c-cert.pub"],
    }
    assert said(config, "x") == {"identityfile": ["~/c"], "certificatefile": ["~/c-cert.pub"]}


@pytest.mark.parametrize(
    ("patterns", "name", "is_match"),
    [
        ("web", "web", True),
        ("web", "web1", False),
        ("*.example.net", "a.example.net", True),
        ("*.example.net", "aXexample.net", False),
        ("10.0.0.?", "10.0.0.7", True),
        ("10.0.0.?", "10.0.0.77", False),
        ("db web", "web", True),
        ("* !web", "web", False),
        ("* !web", "db", True),
        ("!web", "db", False),
        ("web !w*", "web", False),
        ("[ab]", "a", False),
        ("[ab]", "[ab]", True),
        ('"web"', "web", True),
        ("*a*a*a*a*a*a*a*a*a*a*b", "a" * 200, False),
    ],
)
def test_host_patterns(home: Path, patterns: str, name: str, is_match: bool) -> None:
    config = read(home, f"Host {patterns}\n  User u\n")
    assert said(config, name) == ({"user": ["u"]} if is_match else {})


@pytest.mark.parametrize(
    ("line", "keyword", "value"),
    [
        ("User=u", "user", "u"),
        ("User = u", "user", "u"),
        ("uSeR\tu", "user", "u"),
        ('User "u"', "user", "u"),
        ("User u # me", "user", "u"),
        ("  User u  ", "user", "u"),
        ("User u\r", "user", "u"),
        ('IdentityFile "~/my keys/id"', "identityfile", "~/my keys/id"),
        ("IdentityFile ~/my\\ keys/id", "identityfile", "~/my keys/id"),
        ("IdentityFile ~/id#1", "identityfile", "~/id#1"),
        ('ProxyCommand nc "%h" %p # not a comment', "proxy", 'nc "%h" %p # not a comment'),
        ("ProxyCommand=nc %h %p", "proxy", "nc %h %p"),
    ],
)
def test_forms_of_a_line(home: Path, line: str, keyword: str, value: str) -> None:
    assert said(read(home, f"{line}\n"), "any") == {keyword: [value]}


def test_jump_and_proxy_command_compete(home: Path) -> None:
    first = "Host a\nProxyJump none\nHost b\nProxyCommand nc\n"
    config = read(home, f"{first}Host *\nProxyJump x\nProxyCommand y\n")
    assert [said(config, name)["proxy"] for name in "abc"] == [["none"], ["nc"], ["x"]]


def test_everything_else_is_named_once_and_has_no_effect(home: Path) -> None:
    config = read(
        home,
        """Host *
  ForwardAgent yes
  RemoteCommand rm -rf /
  RequestTTY force
  SendEnv SECRET
  User u
Host x
  ForwardAgent yes
  LocalForward "8080
""",
    )
    assert said(config, "x") == {"user": ["u"]}
    path = home / ".ssh" / "config"
    assert config.warnings == (
        f"{path}:2: ForwardAgent is not used by fleetctl (also line 8)",
        f"{path}:3: RemoteCommand is not used by fleetctl",
        f"{path}:4: RequestTTY is not used by fleetctl",
        f"{path}:5: SendEnv is not used by fleetctl",
        f"{path}:9: LocalForward is not used by fleetctl",
    )


def test_match_is_skipped_with_all_that_stands_under_it_and_never_run(home: Path) -> None:
    mark = home / "was-run"
    write(home, "User from-match\n", "more")
    config = read(
        home,
        f"""Match exec "touch {mark}"
  User bad
  ForwardAgent yes
  Include more
Match host web
  User bad
Match all
  Port 7
Host web
  User good
""",
    )
    assert said(config, "web") == {"port": ["7"], "user": ["good"]}
    assert not mark.exists()
    (warning,) = config.warnings
    assert "config:1: Match" in warning
    assert "also line 5" in warning


def test_included_files_hold_where_the_block_around_them_does(home: Path) -> None:
    write(home, "Port 5\nHost a\n  User in-a\nHost *\n  User in-all\n", "conf.d/10")
    write(home, "HostName second\n", "conf.d/20")
    around = "Host a b\n  Include conf.d/*\n  HostName third\n  HostKeyAlias k\n"
    config = read(home, f"{around}Host *\n  User last\n")
    assert said(config, "a") == {
        "port": ["5"],
        "user": ["in-a"],
        "hostname": ["second"],
        "hostkeyalias": ["k"],
    }
    assert said(config, "b")["user"] == ["in-all"]
    assert said(config, "c") == {"user": ["last"]}


def test_includes_may_be_absolute_or_under_home_or_missing(home: Path) -> None:
    write(home, "Port 5\n", "one")
    write(home, "User u\n", "two")
    config = read(home, f'Include "{home}/.ssh/one" ~/.ssh/two nowhere/*\n')
    assert said(config, "x") == {"port": ["5"], "user": ["u"]}


def test_an_include_that_does_not_end_is_refused(home: Path) -> None:
    with pytest.raises(ConfigError, match="includes itself"):
        read(home, "Include *\n")
    for number in range(20):
        write(home, f"Include deep{number + 1}\n", f"deep{number}")
    with pytest.raises(ConfigError, match="too deeply"):
        read(home, "Include deep0\n")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Port ssh", "from 1 to 65535"),
        ("Port 70000", "from 1 to 65535"),
        ("ConnectTimeout soon", "seconds"),
        ("ConnectTimeout 11111111111111111111111111111111111111111x", "seconds"),
        ("User", "one value"),
        ("User a b", "one value"),
        ('IdentityFile "~/.ssh/id', "one value"),
        ("ProxyCommand", "no value"),
        ("Host", "no pattern"),
        ("Include", "no file"),
    ],
)
def test_a_taken_keyword_that_makes_no_sense_names_its_line(home: Path, line: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        read(home, f"# a comment\n\n{line}\n")
    assert caught.value.place == "line 3"
    assert caught.value.file == str(home / ".ssh" / "config")


def test_a_file_that_others_may_write_is_refused(home: Path) -> None:
    path = write(home, "User u\n")
    path.chmod(0o666)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_ssh_config(path, home=home)


def test_what_is_no_readable_file_is_refused(home: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_ssh_config(home / "nowhere", home=home)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_ssh_config(home, home=home)
    with pytest.raises(ConfigError, match="not a file"):
        read_ssh_config(Path(os.devnull), home=home)


@pytest.mark.parametrize(
    ("text", "expected"), [("10", 10.0), ("1m30s", 90.0), ("1H", 3600.0), ("0", None), ("none", None)]
)
def test_connect_timeout(home: Path, text: str, expected: float | None) -> None:
    config = read(home, f"ConnectTimeout {text}\n")
    assert seconds(config.lookup("x")["connecttimeout"][0]) == expected


def test_bytes_that_are_no_text_are_no_crash(home: Path) -> None:
    path = home / ".ssh" / "config"
    path.write_bytes(b"\xff\xfe = \x00\nUser u\nS\xffendEnv x\n")
    path.chmod(0o600)
    config = read_ssh_config(path, home=home)
    assert said(config, "x") == {"user": ["u"]}
    assert config.warnings == (f"{path}:1: a line without keyword is not used by fleetctl (also line 3)",)
