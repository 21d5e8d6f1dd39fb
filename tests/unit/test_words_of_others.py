"""Words of hosts and people on a screen: shown as they are, and never a reason to fall over."""

from __future__ import annotations

import json
from datetime import timedelta, timezone

import pytest

from console.order_reading import said_lines
from console.render_rollout_time import local_words
from tests.unit.order_lab import START

BERLIN = timezone(timedelta(hours=2), "CEST")


@pytest.mark.parametrize(
    "text",
    [
        "paused by jana: back at 24:00 UTC",
        "host-1: 61:70 UTC",
        "it failed at 00:59:00 UTC",
        "Mon 2026-13-45 02:00 UTC",
        "Mon 9999-12-31 23:30 UTC",
    ],
)
def test_what_only_looks_like_a_time_stays_as_it_was_written(text: str) -> None:
    assert local_words(text, START.astimezone(BERLIN)) == text


def test_what_a_lost_boot_wrote_is_told_once_with_its_last_words_last() -> None:
    stamp = "2026-11-25T01:59:00+01:00 lab-1 "
    updater = f"{stamp}update_engine[925]: E1125 01:59:00.000001   925 main.cc:9] No space left"
    evidence = {
        "boot_before": [
            updater,
            f"{stamp}kernel: Kernel panic",
            f"{stamp}init[1]: \x1b[2J",
            "torn",
            "2026-99-25T01:59:00+01:00 lab-1 x: y",
        ],
        "updater_before": [f"{stamp}locksmithd[44]: Unlocked", updater],
    }
    assert said_lines(json.dumps(evidence)) == (
        "00:59:00 UTC locksmithd: Unlocked",
        "00:59:00 UTC update_engine: No space left",
        "00:59:00 UTC kernel: Kernel panic",
        "00:59:00 UTC init: \x1b[2J",
        "torn",
        "2026-99-25T01:59:00+01:00 lab-1 x: y",
    ), "escaping is the screen's work"
    assert said_lines(None) == said_lines("[]") == said_lines('{"boot_before": "x"}') == ()
