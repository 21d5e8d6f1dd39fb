"""What changed on a host, told as events."""

from __future__ import annotations

import pytest

from console.render_diff import Step
from console.story import event_of, events_of, moments
from console.tone import Tone
from tests.unit.test_render_panel import STEPS, step

REBOOT = (step("/identity/boot_id", "b", "c"), step("/identity/kernel", "6.1", "6.12"))
TO_STAGED = step("/operation", "UPDATE_STATUS_DOWNLOADING", "UPDATE_STATUS_UPDATED_NEED_REBOOT")


@pytest.mark.parametrize(
    ("steps", "glyph", "tone", "words"),
    [
        (
            (*REBOOT, step("/os/version_id", "1.0.0", "2.0.0"), step("/running", "A", "B")),
            "↑",
            Tone.MOVING,
            "booted 2.0.0 from B",
        ),
        (
            (*REBOOT, step("/running", "A", "B"), step("/slots/b/successful", False, True)),
            "●",
            Tone.CALM,
            "booted from B, confirmed",
        ),
        (REBOOT, "↑", Tone.MOVING, "rebooted"),
        (
            (*REBOOT, step("/slots/b/tries", 1, 0), step("/new_version", "2.0.0", None)),
            "◄",
            Tone.BAD,
            "tried B 2.0.0, back on A",
        ),
        (
            (TO_STAGED, step("/new_version", None, "2.0.0"), step("/slots/a/tries", 0, 1)),
            "◕",
            Tone.MOVING,
            "staged 2.0.0 in A",
        ),
        ((TO_STAGED,), "◕", Tone.MOVING, "staged a release"),
        (
            (step("/operation", "UPDATE_STATUS_IDLE", "UPDATE_STATUS_VERIFYING"),),
            "◔",
            Tone.MOVING,
            "began to stage a release",
        ),
        (
            (step("/operation", "UPDATE_STATUS_DOWNLOADING", "UPDATE_STATUS_FINALIZING"),),
            "◔",
            Tone.MOVING,
            "goes on staging: finalizing",
        ),
        (
            (step("/operation", "UPDATE_STATUS_UPDATED_NEED_REBOOT", "UPDATE_STATUS_IDLE"),),
            "◇",
            Tone.WARN,
            "the updater forgot what it had staged",
        ),
        (
            (step("/operation", "UPDATE_STATUS_DOWNLOADING", "UPDATE_STATUS_IDLE"),),
            "·",
            Tone.DIM,
            "stopped staging",
        ),
        ((step("/operation", "UPDATE_STATUS_IDLE", None),), "…", Tone.UNKNOWN, "the updater gave no answer"),
        (
            (
                step("/attempt/failed", False, True),
                step("/attempt/error_code", None, 10),
                step("/attempt/offered_version", None, "2.0.0"),
            ),
            "×",
            Tone.BAD,
            "staging 2.0.0 failed: the payload's hash is not the announced one (code 10)",
        ),
        (
            (
                step("/attempt/failed", False, True),
                step("/attempt/error_code", None, 37),
                step("/conf/server", None, "disabled"),
            ),
            "⊖",
            Tone.CHOSEN,
            "updates were turned off",
        ),
        ((step("/reach", "ok", "timeout"),), "◌", Tone.UNKNOWN, "went silent"),
        ((step("/reach", None, "ok"),), "●", Tone.CALM, "answered for the first time"),
        ((step("/reach", "ok", "host_key_changed"),), "≠", Tone.BAD, "its host key changed"),
        ((step("/slots/b/successful", False, True),), "●", Tone.CALM, "B confirmed"),
        (
            (step("/slots/a/priority", 2, 1), step("/slots/b/priority", 1, 2)),
            "«",
            Tone.MOVING,
            "B was put first for the next boot",
        ),
        ((step("/flags/reset_armed", False, True),), "⊗", Tone.BAD, "a wipe was armed for the next boot"),
        ((step("/flags/reset_armed", True, False),), "●", Tone.CALM, "the wipe is no longer armed"),
        ((step("/flags/first_boot_armed", True, None),), "…", Tone.UNKNOWN, "Ignition: not read any more"),
        (
            (step("/privileged", True, False), step("/slots", {"a": 1}, None)),
            "…",
            Tone.UNKNOWN,
            "answered without root",
        ),
        ((step("/slots", {"a": 1}, None),), "…", Tone.UNKNOWN, "its slots were not read"),
        (
            (step("/units/update-engine.service/load", "loaded", "masked"), step("/operation", "x", None)),
            "⊖",
            Tone.CHOSEN,
            "update-engine.service was masked",
        ),
        (
            (step("/units/a~1b.service/active", "active", "failed"),),
            "▲",
            Tone.WARN,
            "a/b.service is failed, was active",
        ),
        (
            (step("/failed_units", [], ["b.service", "a.service"]),),
            "▲",
            Tone.WARN,
            "a.service, b.service failed",
        ),
        ((step("/failed_units", ["a.service"], []),), "●", Tone.CALM, "a.service failed no longer"),
        (
            (step("/extensions/merged", ["a", "b"], ["b", "c"]),),
            "◆",
            Tone.WARN,
            "extensions: a no longer merged, c merged",
        ),
        ((step("/conf/group", None, "beta"),), "≈", Tone.WARN, "its channel is set to beta"),
        ((step("/identity/machine_id", "a", "b"), *REBOOT), "≈", Tone.WARN, "another machine"),
        ((step("/made/up", 1, None),), "·", Tone.DIM, "made.up: 1 → not known"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) > 1 else "",
)
def test_a_look_is_told_by_its_most_telling_event(
    steps: tuple[Step, ...], glyph: str, tone: Tone, words: str
) -> None:
    assert event_of(steps) == (glyph, tone, words)
    assert event_of(tuple(reversed(steps))) == (glyph, tone, words)
    in_ascii = event_of(steps, ascii=True)
    assert in_ascii.glyph.isascii()
    assert in_ascii.words == words.replace("→", "to")


def test_one_step_is_a_look_of_its_own() -> None:
    assert event_of(step("/reach", "ok", "timeout")).words == "went silent"


def test_facts_that_follow_are_not_told_and_all_others_are() -> None:
    steps = (*REBOOT, step("/failed_units", [], ["a.service"]), step("/conf/odd_lines", [], ["x"]))
    assert [event.words for event in events_of(steps)] == [
        "rebooted",
        "a.service failed",
        "conf.odd_lines: empty → x",
    ]


def test_looks_are_newest_first_and_know_what_earlier_ones_found() -> None:
    told = [moment.events[0].words for moment in moments(STEPS)]
    assert told == [
        "tried B 4593.2.5, back on A",
        "went silent",
        "staged 4593.2.5 in B",
        "began to stage 4593.2.5",
        "booted 4593.2.4 from A",
    ]
