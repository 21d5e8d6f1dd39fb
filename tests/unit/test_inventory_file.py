"""Where the fleet file is, what loading it gives, and where its database may not be."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from collectors.errors import ConfigError
from collectors.fleet_file import check_database_place, database_in, find_fleet_file, load_fleet
from collectors.fleet_keys import KNOWN_KEYS
from collectors.inventory import FleetFileInvalid

ONE = 'hosts = [{ name = "a" }]\n'
DOC = Path(__file__).parents[2] / "docs" / "fleet-file.md"


def write(path: Path, text: str = ONE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_file_typed_wins_then_environment_then_directory_then_user(tmp_path: Path) -> None:
    cwd = tmp_path / "cwd"
    typed, named = write(cwd / "typed.toml"), write(tmp_path / "named.toml")
    here, own = write(cwd / "fleet.toml"), write(tmp_path / ".config" / "fleetctl" / "fleet.toml")
    environ = {"HOME": str(tmp_path), "FLEETCTL_FLEET": str(named)}
    assert find_fleet_file("typed.toml", environ, cwd) == typed
    assert find_fleet_file(None, environ, cwd) == named
    del environ["FLEETCTL_FLEET"]
    assert find_fleet_file(None, environ, cwd) == here
    here.unlink()
    assert find_fleet_file(None, environ, cwd) == own
    elsewhere = write(tmp_path / "xdg" / "fleetctl" / "fleet.toml")
    assert find_fleet_file(None, environ | {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}, cwd) == elsewhere


@pytest.mark.parametrize(
    ("typed", "environ", "source"),
    [("no.toml", {}, "--fleet"), (None, {"FLEETCTL_FLEET": "no.toml"}, "$FLEETCTL_FLEET")],
)
def test_a_place_that_is_named_must_have_the_file(
    tmp_path: Path, typed: str | None, environ: dict[str, str], source: str
) -> None:
    write(tmp_path / "fleet.toml")
    with pytest.raises(ConfigError) as caught:
        find_fleet_file(typed, environ, tmp_path)
    assert caught.value.file == str(tmp_path / "no.toml")
    assert source in caught.value.message


def test_without_any_file_it_says_where_it_looked_and_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_fleet_file(None, {"HOME": str(tmp_path / "home")}, tmp_path)
    message = caught.value.message
    assert str(tmp_path / "fleet.toml") in message
    assert str(tmp_path / "home" / ".config" / "fleetctl" / "fleet.toml") in message
    assert "fleetctl init" in message


def test_loading_gives_the_digest_of_the_bytes_and_absolute_paths(tmp_path: Path) -> None:
    path = write(tmp_path / "prod.toml")
    loaded = load_fleet(path)
    assert loaded.fleet.name == "prod"
    assert loaded.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded.database_path == tmp_path / "prod.db"
    assert loaded.beside("x/../y") == tmp_path / "y"
    assert loaded.beside("/z") == Path("/z")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "prod.db"),
        ('name = "x"\n', "x.db"),
        ('database = "data/y.db"\n', "data/y.db"),
        ('name = "x"\ndatabase = "/abs/z.db"\n', "/abs/z.db"),
    ],
)
def test_the_quick_way_to_the_database_agrees_with_the_whole(
    tmp_path: Path, text: str, expected: str
) -> None:
    path = write(tmp_path / "prod.toml", text + ONE)
    assert load_fleet(path).database_path == tmp_path / expected
    assert database_in(path, path.read_bytes()) == tmp_path / expected


@pytest.mark.parametrize("content", [b"\xff", b"a = ", b"database = 5", b'database = ""'])
def test_the_quick_way_says_nothing_of_a_file_it_cannot_read(tmp_path: Path, content: bytes) -> None:
    assert database_in(tmp_path / "f.toml", content) is None


def test_a_file_that_cannot_be_read_is_a_mistake_of_the_operator(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_fleet(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_fleet(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'name = "x"\n# \xe9\n')
    with pytest.raises(ConfigError, match=r"line 2: not UTF-8"):
        load_fleet(tmp_path / "latin.toml")
    with pytest.raises(FleetFileInvalid, match=r"bad\.toml: nmae"):
        load_fleet(write(tmp_path / "bad.toml", f'nmae = "x"\n{ONE}'))


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /srv/nfs rw - nfs4 server:/x rw
24 23 8:2 / /srv/nfs/local rw - xfs /dev/sdb1 rw
25 22 0:22 / /mnt/with\\040blank rw master:1 - fuse.sshfs host: rw
26 22 0:23 / /over rw - ext4 /dev/sdc1 rw
27 26 0:24 / /over rw - cifs //server/share rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/x.db", None),
        ("/srv/nfs/x.db", "nfs4"),
        ("/srv/nfsx/x.db", None),
        ("/srv/nfs/local/x.db", None),
        ("/mnt/with blank/x.db", "fuse.sshfs"),
        ("/over/x.db", "cifs"),
    ],
)
def test_a_database_on_a_network_file_system_is_refused(tmp_path: Path, path: str, kind: str | None) -> None:
    mounts = write(tmp_path / "mountinfo", MOUNTS)
    if kind is None:
        check_database_place(Path(path), mounts=mounts)
        return
    with pytest.raises(ConfigError, match=kind) as caught:
        check_database_place(Path(path), mounts=mounts)
    assert caught.value.place == "database"


def test_where_no_mounts_are_listed_nothing_is_refused(tmp_path: Path) -> None:
    check_database_place(tmp_path / "x.db", mounts=tmp_path / "none")
    check_database_place(tmp_path / "x.db", mounts=write(tmp_path / "odd", "x\n\n1 2 3 - \n"))


@pytest.mark.parametrize("path", KNOWN_KEYS)
def test_every_key_is_documented(path: str) -> None:
    assert f"`{path}`" in DOC.read_text(encoding="utf-8")
