"""The demo's release feed: its shape, its order, its dates."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from console.demo.feed import CHANNELS, NEWEST_AGE_DAYS, before, recent, release, releases_json

START = datetime(2027, 3, 1, 4, 30, 12, tzinfo=UTC)
FEED = json.loads(json.dumps(releases_json(START)))


def date_of(version: str) -> datetime:
    return datetime.strptime(FEED[version]["release_date"], "%Y-%m-%d %H:%M:%S %z")


def test_entries_have_the_five_keys_of_the_feed() -> None:
    for entry in FEED.values():
        assert set(entry) == {"channel", "architectures", "release_date", "major_software", "release_notes"}
        assert set(entry["major_software"]) == {"containerd", "docker", "ignition", "kernel", "systemd"}
        assert all(len(values) == 1 for values in entry["major_software"].values())


def test_current_keys_repeat_the_newest_of_stable_and_of_each_lts_stream() -> None:
    assert FEED["current"] == FEED["4593.2.5"]
    assert FEED["current-2023"] == FEED["3510.3.8"]
    assert FEED["current-2024"] == FEED["4081.3.10"]


@pytest.mark.parametrize("channel", CHANNELS)
def test_newest_of_each_channel_came_out_days_before_the_start(channel: str) -> None:
    age = START - date_of(recent(channel))
    assert timedelta(days=NEWEST_AGE_DAYS) <= age < timedelta(days=NEWEST_AGE_DAYS, minutes=1)


@pytest.mark.parametrize("channel", CHANNELS)
def test_releases_rise_in_version_and_date(channel: str) -> None:
    for older, newer in pairwise(CHANNELS[channel]):
        assert older.key < newer.key
        assert date_of(older.version) < date_of(newer.version)


def test_stable_has_enough_releases_to_be_behind() -> None:
    assert len(CHANNELS["stable"]) >= 6


def test_middle_number_tells_the_channel() -> None:
    digits = {"alpha": 0, "beta": 1, "stable": 2, "lts": 3}
    for channel, releases in CHANNELS.items():
        assert {item.key[1] for item in releases} == {digits[channel]}


def test_notes_name_the_release_before_and_the_fixes() -> None:
    notes = FEED["4593.2.5"]["release_notes"]
    assert notes.startswith("_Changes since **Stable 4593.2.4**_\n")
    assert "- Linux ([CVE-2026-68480](https://nvd.nist.gov/vuln/detail/CVE-2026-68480), " in notes


def test_first_release_of_an_lts_stream_has_no_release_before() -> None:
    assert before(release("4081.3.7")) is None
    assert before(release("4081.3.8")) == release("4081.3.7")
    assert not FEED["4081.3.7"]["release_notes"].startswith("_Changes")
