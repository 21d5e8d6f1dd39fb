"""Release metadata: what exists in which channel, and how far behind a version is.

The shape of the feed: flatcar/flatcar-website:static/releases-json/releases.json@2075ef37. Channels of a
version by its middle number (0 alpha, 1 beta, 2 stable, 3 lts) hold without exception above major 2605
in that file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from collectors.errors import ParseError
from collectors.parse.os_release import version_key

CHANNELS = ("alpha", "beta", "stable", "lts")
LTS_MAJORS = {2021: 2605, 2022: 3033, 2023: 3510, 2024: 4081}
"""Stream year -> major."""


@dataclass(frozen=True, slots=True)
class Release:
    version: str
    key: tuple[int, int, int]
    """What versions compare by."""
    channel: str
    released_at: datetime
    kernel: str | None
    systemd: str | None
    docker: str | None
    containerd: str | None


@dataclass(frozen=True, slots=True)
class Feed:
    """All releases of one feed, each channel's oldest first."""

    taken_at: datetime
    """When the feed was current, not when it was read."""
    source: str
    """packed, a file's name, or a URL without its secrets."""
    digest: str
    channels: dict[str, tuple[Release, ...]]

    def of_group(self, group: str) -> tuple[Release, ...] | None:
        """The releases that a host of this server group would be offered; None if it is no public channel."""
        if group in self.channels:
            return self.channels[group]
        if group.startswith("lts-"):
            return self._stream(group.removeprefix("lts-"))
        return None

    def _stream(self, year: str) -> tuple[Release, ...]:
        """The releases of one LTS stream; empty where its major is not known."""
        major = LTS_MAJORS.get(int(year)) if year.isascii() and year.isdigit() and len(year) == 4 else None
        return tuple(item for item in self.channels.get("lts", ()) if item.key[0] == major)


def feed_as_of(feed: Feed, when: datetime) -> Feed:
    """The feed without what was released later."""
    if when >= feed.taken_at:
        return feed
    channels = {
        name: tuple(item for item in releases if item.released_at <= when)
        for name, releases in feed.channels.items()
    }
    return replace(feed, taken_at=when, channels={name: kept for name, kept in channels.items() if kept})


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a version stands in its channel."""

    channel: str
    newest: str
    behind: int
    """How many newer releases there are."""
    behind_since: datetime | None
    """When the first newer one came out."""
    is_release: bool
    """Whether the version itself is a release of this channel; else nothing newer proves nothing."""


def parse_feed(data: bytes, *, taken_at: datetime, source: str, digest: str) -> Feed:
    """The whole feed from releases.json; entries that are no release (`current…`) are left out.

    Raises ParseError when it is not such a file.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ParseError(f"the feed is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ParseError("the feed is not an object of releases")
    keys = {version: version_key(version) for version in document}
    releases = [_release(version, key, document[version]) for version, key in keys.items() if key]
    if not releases:
        raise ParseError("the feed holds no release")
    releases.sort(key=lambda item: item.key)
    names = sorted({item.channel for item in releases})
    channels = {name: tuple(item for item in releases if item.channel == name) for name in names}
    return Feed(taken_at, source, digest, channels)


def _release(version: str, key: tuple[int, int, int], entry: object) -> Release:
    if not isinstance(entry, dict):
        raise ParseError(f"the feed's entry {version} is not an object")
    channel, date = entry.get("channel"), entry.get("release_date")
    software = entry.get("major_software")
    if not isinstance(channel, str) or not isinstance(date, str):
        raise ParseError(f"the feed's entry {version} lacks channel or release_date")
    try:
        released_at = datetime.strptime(date, "%Y-%m-%d %H:%M:%S %z").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ParseError(f"the feed's entry {version} has the date {date!r}") from error
    words = software if isinstance(software, dict) else {}
    return Release(version, key, channel, released_at, *(_only(words, key) for key in _SOFTWARE))


_SOFTWARE = ("kernel", "systemd", "docker", "containerd")


def _only(software: dict[str, object], key: str) -> str | None:
    value = software.get(key)
    return value[0] if isinstance(value, list) and value and isinstance(value[0], str) else None


def channel_of_version(version: str) -> str | None:
    """The channel that a version's middle number names."""
    key = version_key(version)
    return CHANNELS[key[1]] if key and key[0] > 2605 and key[1] < len(CHANNELS) else None


def standing(feed: Feed, version: str, group: str | None) -> Standing | None:
    """How `version` stands among the releases of its server group, or of its own channel where the
    group is none of the public channels; None where neither is known."""
    channel = "stable" if group is None else group
    releases = feed.of_group(channel)
    if releases is None:
        channel = channel_of_version(version) or ""
        releases = feed.of_group(channel)
    key = version_key(version)
    if not releases or key is None:
        return None
    newer = [item for item in releases if item.key > key]
    since = min((item.released_at for item in newer), default=None)
    is_release = any(item.key == key for item in releases)
    return Standing(channel, releases[-1].version, len(newer), since, is_release)
