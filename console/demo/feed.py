"""The demo's release feed: real releases, dated relative to the demo's start.

The newest release of each channel is `NEWEST_AGE_DAYS` old when the demo starts; the distances between
releases, the versions of their parts and the CVE ids are the real ones. The notes are ours and short.
Source: flatcar/flatcar-website:static/releases-json/releases.json@2075ef37. The full systemd versions:
flatcar/scripts@ab6d76d.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

NEWEST_AGE_DAYS = 5

_SYSTEMD = {252: "252.11", 255: "255.8", 257: "257.9", 260: "260.1"}
"""Of the majors that simulated hosts run; the feed itself tells the major only."""


@dataclass(frozen=True, slots=True)
class DemoRelease:
    version: str
    channel: str
    age_days: int
    """Between its publication and the start of the demo."""
    kernel: str
    systemd_major: int
    ignition: str
    docker: str
    containerd: str
    fixes: tuple[tuple[str, tuple[str, ...]], ...]
    """Component, CVE ids."""
    key: tuple[int, ...]
    """The version's numbers: what releases are ordered by."""

    @property
    def systemd(self) -> str:
        return _SYSTEMD.get(self.systemd_major, str(self.systemd_major))

    @property
    def quotes_os_release(self) -> bool:
        """4694 and later quote every value and have no code name."""
        return self.key[0] >= 4694

    @property
    def has_builtin_extensions(self) -> bool:
        """docker and containerd come as extensions; LTS 2023 has them in /usr."""
        return self.key[0] >= 3794

    def published_at(self, start: datetime) -> datetime:
        return (start - timedelta(days=self.age_days)).replace(second=0, microsecond=0)


# version, age, kernel, ignition, docker, containerd, [component and ids]
_ALPHA = (
    ("4694.0.1", 83, "6.12.91", 258, "2.24.0", "28.2.2", "2.2.1", "Linux CVE-2026-45834 CVE-2026-45835"),
    (
        "4722.0.0", 63, "6.12.93", 260, "2.24.0", "28.2.2", "2.2.2",
        "Linux CVE-2026-46323 CVE-2026-46315; curl CVE-2026-1965 CVE-2026-3783; openssh CVE-2026-35385",
    ),
    (
        "4757.0.0", 36, "6.12.95", 260, "2.24.0", "28.2.2", "2.2.5",
        "Linux CVE-2026-46242 CVE-2026-53332; openssl CVE-2026-34180 CVE-2026-34181",
    ),
    (
        "4790.0.0", 5, "6.12.102", 260, "2.24.0", "29.1.3", "2.2.5",
        "Linux CVE-2026-68480 CVE-2026-68450; curl CVE-2026-4873 CVE-2026-5545; openssh CVE-2026-59995",
    ),
)  # fmt: skip
_BETA = (
    ("4628.1.2", 83, "6.12.91", 258, "2.24.0", "28.2.2", "2.2.0", "Linux CVE-2026-43502 CVE-2026-43497"),
    (
        "4694.1.0", 63, "6.12.93", 258, "2.24.0", "28.2.2", "2.2.1",
        "Linux CVE-2026-46323 CVE-2026-46315; glibc CVE-2026-0861 CVE-2026-0915",
    ),
    (
        "4722.1.0", 40, "6.12.95", 260, "2.24.0", "28.2.2", "2.2.2",
        "Linux CVE-2026-46242 CVE-2026-53332; openssh CVE-2026-35385 CVE-2026-35386",
    ),
    (
        "4757.1.0", 5, "6.12.102", 260, "2.24.0", "28.2.2", "2.2.5",
        "Linux CVE-2026-68480 CVE-2026-68450; containerd CVE-2026-47262 CVE-2026-50195",
    ),
)  # fmt: skip
_STABLE = (
    ("4459.2.4", 162, "6.12.74", 256, "2.22.0", "28.0.4", "2.0.7", "Linux CVE-2026-23145 CVE-2026-23144"),
    (
        "4593.2.0", 113, "6.12.81", 257, "2.24.0", "28.0.4", "2.1.5",
        "Linux CVE-2026-31411 CVE-2026-23273; curl CVE-2025-9086; openssh CVE-2025-61984 CVE-2025-61985",
    ),
    ("4593.2.1", 99, "6.12.87", 257, "2.24.0", "28.0.4", "2.1.5", "Linux CVE-2026-31733 CVE-2026-31689"),
    ("4593.2.2", 83, "6.12.91", 257, "2.24.0", "28.0.4", "2.1.5", "Linux CVE-2026-43502 CVE-2026-43497"),
    ("4593.2.3", 63, "6.12.93", 257, "2.24.0", "28.0.4", "2.1.5", "Linux CVE-2026-46323 CVE-2026-46315"),
    ("4593.2.4", 40, "6.12.95", 257, "2.24.0", "28.0.4", "2.1.5", "Linux CVE-2026-46242 CVE-2026-53332"),
    (
        "4593.2.5", 5, "6.12.102", 257, "2.24.0", "28.0.4", "2.1.5",
        "Linux CVE-2026-68480 CVE-2026-68450; openssh CVE-2026-59995 CVE-2026-59996",
    ),
)  # fmt: skip
_LTS = (
    ("3510.3.7", 516, "5.15.179", 252, "2.14.0", "20.10.23", "1.6.16", "Linux CVE-2024-57874 CVE-2025-23128"),
    ("3510.3.8", 364, "5.15.189", 252, "2.14.0", "20.10.23", "1.6.16", "Linux CVE-2022-48771 CVE-2025-37937"),
    ("4081.3.7", 113, "6.6.127", 255, "2.19.0", "26.1.0", "1.7.21", "Linux CVE-2025-39923 CVE-2025-39913"),
    ("4081.3.8", 83, "6.6.141", 255, "2.19.0", "26.1.0", "1.7.21", "Linux CVE-2026-43316 CVE-2026-43314"),
    ("4081.3.9", 40, "6.6.144", 255, "2.19.0", "26.1.0", "1.7.21", "Linux CVE-2026-46242 CVE-2026-53357"),
    ("4081.3.10", 5, "6.6.150", 255, "2.19.0", "26.1.0", "1.7.21", "Linux CVE-2026-68091 CVE-2026-68090"),
)
_Row = tuple[str, int, str, int, str, str, str, str]


def _release(channel: str, row: _Row) -> DemoRelease:
    version, age_days, kernel, systemd_major, ignition, docker, containerd, fixes = row
    components = (part.split() for part in fixes.split(";"))
    return DemoRelease(
        version,
        channel,
        age_days,
        kernel,
        systemd_major,
        ignition,
        docker,
        containerd,
        tuple((words[0], tuple(words[1:])) for words in components),
        tuple(int(part) for part in version.split(".")),
    )


CHANNELS: dict[str, tuple[DemoRelease, ...]] = {
    channel: tuple(_release(channel, row) for row in rows)
    for channel, rows in (("alpha", _ALPHA), ("beta", _BETA), ("stable", _STABLE), ("lts", _LTS))
}
"""Channel -> its releases, the oldest first."""

_BY_VERSION = {release.version: release for releases in CHANNELS.values() for release in releases}
_LTS_YEARS = {"2023": 3510, "2024": 4081}


def release(version: str) -> DemoRelease:
    """The release of this version; KeyError if the demo's feed has none."""
    return _BY_VERSION[version]


def recent(channel: str, back: int = 0) -> str:
    """Version of the newest release of a channel, or of the one `back` releases before it."""
    return CHANNELS[channel][-1 - back].version


def releases_json(start: datetime) -> dict[str, object]:
    """The object of releases.json: version -> release, `current` (stable) and `current-YEAR` (LTS)."""
    entries: dict[str, object] = {}
    for releases in CHANNELS.values():
        for item in releases:
            entries[item.version] = _entry(item, before(item), start)
    entries["current"] = entries[recent("stable")]
    for year, major in _LTS_YEARS.items():
        newest = [item.version for item in CHANNELS["lts"] if item.key[0] == major][-1]
        entries[f"current-{year}"] = entries[newest]
    return entries


def before(item: DemoRelease) -> DemoRelease | None:
    """The release that its notes are written against; None for the first known one of its stream."""
    releases = CHANNELS[item.channel]
    index = releases.index(item)
    earlier = releases[index - 1] if index else None
    is_other_stream = earlier is not None and item.channel == "lts" and earlier.key[0] != item.key[0]
    return None if is_other_stream else earlier


def _entry(item: DemoRelease, base: DemoRelease | None, start: datetime) -> dict[str, object]:
    return {
        "channel": item.channel,
        "architectures": ["amd64", "arm64"],
        "release_date": f"{item.published_at(start):%Y-%m-%d %H:%M:%S} +0000",
        "major_software": {
            "containerd": [item.containerd],
            "docker": [item.docker],
            "ignition": [item.ignition],
            "kernel": [item.kernel],
            "systemd": [str(item.systemd_major)],
        },
        "release_notes": _notes(item, base),
    }


def _notes(item: DemoRelease, base: DemoRelease | None) -> str:
    lines = []
    if base is not None:
        channel = "LTS" if item.channel == "lts" else item.channel.capitalize()
        lines += [f"_Changes since **{channel} {base.version}**_", ""]
    lines += ["#### Security fixes:", ""]
    for component, ids in item.fixes:
        links = ", ".join(f"[{cve}](https://nvd.nist.gov/vuln/detail/{cve})" for cve in ids)
        lines.append(f"- {component} ({links})")
    lines += ["", "#### Changes:", "", "- Shortened for the demo: the real release fixes more."]
    return "\n".join(lines)
