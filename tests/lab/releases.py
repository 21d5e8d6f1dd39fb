"""The releases that exist in the lab, and the files of /usr that tell one from another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.lab.files import put
from tests.lab.settings import SERVER

APP_ID = "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}"
BOARD = "amd64-usr"


@dataclass(frozen=True, slots=True)
class Release:
    """One release; docker and containerd are what their programs say in it."""

    version: str
    channel: str
    docker: str
    containerd: str


_ALL = (
    Release("4459.2.0", "stable", "28.0.4", "2.0.5"),
    Release("4459.2.1", "stable", "28.0.4", "2.0.7"),
    Release("4593.1.0", "beta", "28.5.2", "2.1.5"),
)
RELEASES_BY_VERSION = {release.version: release for release in _ALL}
BORN_WITH = "4459.2.0"
"""What hosts are installed with."""
CHANNELS = {"stable": "4459.2.1", "beta": "4593.1.0", "alpha": "4593.1.0", "lts": BORN_WITH}
"""What the update server offers at first."""


def version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split("."))


def write_release_files(usr: Path, release: Release) -> None:
    """os-release without quotes, as up to 4593.

    Fields: flatcar/scripts:build_library/set_lsb_release@ab6d76d.
    """
    version = release.version
    pretty = f"Flatcar Container Linux by Kinvolk {version} (Lab)"
    fields = (
        'NAME="Flatcar Container Linux by Kinvolk"',
        "ID=flatcar",
        "ID_LIKE=coreos",
        f"VERSION={version}",
        f"VERSION_ID={version}",
        "BUILD_ID=2026-01-01-0000",
        "SYSEXT_LEVEL=1.0",
        f'PRETTY_NAME="{pretty}"',
        'ANSI_COLOR="38;5;75"',
        'HOME_URL="https://flatcar.org/"',
        'BUG_REPORT_URL="https://issues.flatcar.org"',
        f'FLATCAR_BOARD="{BOARD}"',
        f'CPE_NAME="cpe:2.3:o:flatcar-linux:flatcar_linux:{version}:*:*:*:*:*:*:*"',
    )
    put(usr / "lib/os-release", "".join(f"{field}\n" for field in fields))
    put(
        usr / "share/flatcar/release",
        f"FLATCAR_RELEASE_VERSION={version}\nFLATCAR_RELEASE_BOARD={BOARD}\nFLATCAR_RELEASE_APPID={APP_ID}\n",
    )
    put(usr / "share/flatcar/update.conf", f"SERVER={SERVER}/v1/update/\nGROUP={release.channel}\n")
    put(
        usr / "share/flatcar/lsb-release",
        f'DISTRIB_ID="Flatcar Container Linux by Kinvolk"\nDISTRIB_RELEASE={version}\n'
        f'DISTRIB_DESCRIPTION="{pretty}"\n',
    )
