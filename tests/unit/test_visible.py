"""What a person may see of texts, numbers and times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from console.visible import (
    age_words,
    cells,
    clock_words,
    count_words,
    duration_words,
    hosts_words,
    pad,
    size_words,
    visible,
    wrap,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("edge-fra-014", "edge-fra-014"),
        ("", ""),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("a\x00b\x7fc", "a\\x00b\\x7fc"),
        ("\x85\x9b1m", "\\x85\\x9b1m"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("a\u200bb\ufeff\u00ad", "a\\u200bb\\ufeff\\xad"),
        ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
        ("\ud800", "\\ud800"),
        ("\ue000\U000f0000", "\\ue000\\U000f0000"),
        ("\u00a0\u3000", "\\xa0\\u3000"),
        ("a\ufe0f\U000e0101\u3164", "a\\ufe0f\\U000e0101\\u3164"),
        ("\u0378", "\\u0378"),
        ("Grüße, 東京", "Grüße, 東京"),
        ("e\u0301", "e\u0301"),
        ("\u0301e", "\\u0301e"),
        ("e" + "\u0301" * 4, "e\u0301\u0301\\u0301\\u0301"),
        ("\\x1b", "\\x1b"),
    ],
)
def test_what_could_move_the_cursor_or_hide_becomes_an_escape(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("text", "width", "middle", "end"),
    [
        ("edge-fra-a-014", 14, "edge-fra-a-014", "edge-fra-a-014"),
        ("edge-frankfurt-a-014", 12, "edge-f…a-014", "edge-frankf…"),
        ("edge-fra-014", 2, "e…", "e…"),
        ("edge-fra-014", 1, "…", "…"),
        ("edge-fra-014", 0, "", ""),
        ("東京東京東京", 7, "東…京", "東京東…"),
        ("e\u0301e\u0301e\u0301e\u0301", 3, "e\u0301…e\u0301", "e\u0301e\u0301…"),
    ],
)
def test_a_long_text_is_cut_to_its_width(text: str, width: int, middle: str, end: str) -> None:
    assert visible(text, width) == middle
    assert visible(text, width, cut="end") == end


def test_ascii_loses_no_letter() -> None:
    assert visible("A► 4593.2.5 → “x” …", ascii_only=True) == 'A> 4593.2.5 -> "x" ...'
    assert visible("Grüße", ascii_only=True) == "Gr\\xfc\\xdfe"
    assert visible("edge-frankfurt-014", 9, ascii_only=True) == "edge~-014"


def test_cells_and_padding() -> None:
    assert [cells(text) for text in ("abc", "東京", "e\u0301", "●", "")] == [3, 4, 1, 1, 0]
    assert pad("東", 4) == "東  "
    assert pad("abcd", 2) == "abcd"


def test_wrapping_breaks_at_blanks_and_loses_nothing() -> None:
    assert wrap("one two three", 7) == ["one two", "three"]
    assert wrap("abcdefgh ij", 3) == ["abc", "def", "gh", "ij"]
    assert wrap("", 5) == [""]
    assert wrap("東京 東京", 4) == ["東京", "東京"]


@pytest.mark.parametrize(
    ("seconds", "age", "duration"),
    [
        (-5, "0 s", "0 s"),
        (0.9, "0 s", "0 s"),
        (14, "14 s", "14 s"),
        (59.9, "59 s", "59 s"),
        (372, "6 min", "6 min 12 s"),
        (360, "6 min", "6 min"),
        (3599, "59 min", "59 min 59 s"),
        (7200, "2 h", "2 h"),
        (86399, "23 h", "23 h 59 min"),
        (86400 + 4 * 3600 + 300, "1 d", "1 d 4 h"),
        (35 * 86400 + 3600, "35 d", "35 d"),
    ],
)
def test_ages_are_coarse_and_durations_have_two_units(seconds: float, age: str, duration: str) -> None:
    assert age_words(seconds) == age
    assert duration_words(seconds) == duration


def test_a_time_is_told_in_the_zone_of_the_reader() -> None:
    now = datetime(2026, 8, 20, 3, 12, tzinfo=timezone(timedelta(hours=2)))
    assert clock_words(datetime(2026, 8, 20, 1, 0, tzinfo=UTC), now) == "03:00"
    assert clock_words(datetime(2026, 8, 19, 23, 0, tzinfo=UTC), now) == "01:00"
    assert clock_words(datetime(2026, 8, 19, 0, 34, tzinfo=UTC), now) == "Wed 02:34"
    assert clock_words(datetime(2026, 1, 3, 12, 0, tzinfo=UTC), now) == "3 Jan 2026"


def test_counts_and_sizes() -> None:
    assert (count_words(3214), hosts_words(1), hosts_words(1500)) == ("3,214", "1 host", "1,500 hosts")
    sizes = [size_words(size) for size in (0, 1023, 1536, 20 * 2**30, 3 * 2**40)]
    assert sizes == ["0 B", "1023 B", "1.5 KiB", "20 GiB", "3.0 TiB"]
