"""Where the lab finds a Debian archive: apt's own sources in both forms, or LAB_MIRROR. Needs no lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import packages
from tests.lab.system import LabError

LIST = """# deb http://off.example.net/debian trixie main
deb-src http://source.example.net/debian trixie main
deb [arch=amd64 signed-by=/k.gpg] https://tools.example.net/apt trixie main
deb http://security.example.net/debian-security trixie-security main
deb  [ trusted=yes ] http://mirror.example.net/debian trixie contrib main # ours
"""
SOURCES = """Types: deb
URIs: https://node.example.net/node
Suites: nodistro
Components: main

Enabled: no
Types: deb
URIs: http://off.example.net/debian
Suites: trixie
Components: main

Types: deb deb-src
# said by hand
URIs:
  http://one.example.net/debian
  http://two.example.net/debian
Suites: bookworm bookworm-updates
Components: main
"""


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("sources.list", LIST, "http://mirror.example.net/debian"),
        ("debian.sources", SOURCES, "http://one.example.net/debian"),
        ("one.list", "deb http://dated.example.net/archive/debian/20250520 stable main", "http://dated.example.net/archive/debian/20250520"),
        ("one.list", "deb http://flat.example.net/ sid main", "http://flat.example.net/"),
        ("one.list.disabled", LIST, None),
        ("one.list", "deb http://mirror.example.net/debian trixie contrib", None),
        ("one.list", "deb mirror+file:/etc/apt/mirrors/debian.list trixie main", None),
        ("one.sources", "Types: deb\nURIs\n: x\n", None),
    ],
)  # fmt: skip
def test_a_debian_archive_is_found_in_both_forms_of_sources(name: str, text: str, found: str | None) -> None:
    assert packages.archive_of({Path(name): text}) == found


def test_the_mirror_is_apts_unless_the_environment_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "APT", tmp_path)
    monkeypatch.delenv("LAB_MIRROR", raising=False)
    with pytest.raises(LabError, match=r"\.list and \.sources files under .* set LAB_MIRROR"):
        packages.mirror()
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(SOURCES)
    assert packages.mirror() == "http://one.example.net/debian"
    (tmp_path / "sources.list").write_text(LIST)
    assert packages.mirror() == "http://mirror.example.net/debian"
    monkeypatch.setenv("LAB_MIRROR", "http://wanted.example.net/debian")
    assert packages.mirror() == "http://wanted.example.net/debian"
