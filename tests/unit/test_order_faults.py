"""Every fault of the simulated fleet during every verb ends as it should, and says so in good words.

The words are snapshots: each sentence is to be true, and to tell an operator what to do next.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from syrupy.assertion import SnapshotAssertion

from actions.orders import Phase
from console.demo.faults import FAULTS
from tests.unit.fault_orders import ORDERS, When, carried, check_truth

End = tuple[str, str]

DONE: Mapping[str, End] = {
    "stage exact": ("done", "staged"),
    "stage offer": ("done", "staged"),
    "cancel": ("done", "cancelled"),
    "activate": ("done", "activated"),
    "reboot": ("done", "rebooted"),
    "roll-back": ("done", "rolled-back"),
    "channel": ("done", "channel-set"),
    "updates": ("done", "updates-set"),
    "repair": ("done", "repaired"),
}
FAILED, INCOMPLETE = ("failed", "failed"), ("unknown", "incomplete")
MOVED = ("not sent", "moved")
STAGES, BOOTS, CONFS = (
    ("stage exact", "stage offer"),
    ("activate", "reboot", "roll-back"),
    ("channel", "updates"),
)

Row = tuple[End | None, End | None, End | None]
"""BEFORE, SENDING, AFTER; None: as if there were no fault. What only writes a line is over by AFTER."""


def always(*end: str) -> Row:
    found = (end[0], end[1])
    return found, found, found


CUT: Row = (("refused", "incomplete"), INCOMPLETE, INCOMPLETE)
SILENT: Row = (("refused", "unreachable"), ("unknown", "unknown"), ("unknown", "unknown"))
GONE: Row = (("refused", "unreachable"), ("unknown", "missing"), ("unknown", "missing"))
NO_SUDO: Row = (("refused", "unprivileged"), ("not sent", "sudo-refused"), INCOMPLETE)
INHIBITED: Row = (("refused", "inhibited"), ("not sent", "inhibited"), ("failed", "did-not-reboot"))
NO_ROOM: Row = (FAILED, FAILED, None)
OTHER_KEY = always("unknown", "host-key-changed")
LOST = {"never-returns": always("unknown", "missing"), "fallback": always("failed", "reverted")}
WITHOUT = {"extension-lost": always("failed", "extension-missing")}


def masked(end: End | None) -> Row:
    return ("refused", "engine-down"), MOVED, end


def lies(before: End, later: End | None) -> Row:
    return before, later, later


CUTS = {"drop": CUT, "truncated": CUT, "hang": SILENT, "sudo-refused": NO_SUDO}
REBOOT = CUTS | {"hang": GONE, "inhibitor": INHIBITED, "key-change": OTHER_KEY}
STAGE = CUTS | {
    "lie": lies(("refused", "staged-not-next"), ("failed", "status-reset")),
    "bad-payload": always(*FAILED),
    "boot-full": (("refused", "boot-full"), FAILED, FAILED),
    "masked": masked(FAILED),
}
CONF = CUTS | {
    "lie": lies(MOVED, None),
    "disk-full": NO_ROOM,
    "sudo-refused": (*NO_SUDO[:2], None),
    "masked": (None, MOVED, None),
}
TABLE: Mapping[str, Mapping[str, Row]] = {
    "stage exact": STAGE | {"disk-full": NO_ROOM},
    # the kernel is copied in the first second, and flatcar-update writes nothing to /
    "stage offer": STAGE | {"boot-full": (*STAGE["boot-full"][:2], None)},
    "cancel": CUTS | {"lie": lies(MOVED, FAILED), "masked": masked(INCOMPLETE)},
    "activate": REBOOT
    | LOST
    | WITHOUT
    | {"lie": lies(MOVED, None), "masked": masked(("failed", "unconfirmed"))},
    "reboot": REBOOT | {"lie": lies(MOVED, None), "masked": masked(None)},
    "roll-back": REBOOT
    | LOST
    | WITHOUT
    | {
        "lie": lies(("refused", "slot-holds-update"), None),
        "masked": masked(("failed", "unconfirmed")),
        "disk-full": always("failed", "did-not-reboot"),
    },
    "channel": CONF,
    "updates": CONF,
    "repair": CONF | {"lie": lies(MOVED, FAILED), "sudo-refused": NO_SUDO},
}
"""Verb -> fault -> its ends; a fault that is not named changes nothing for that verb."""


@pytest.mark.parametrize("verb", ORDERS)
def test_without_a_fault(verb: str) -> None:
    found = carried(verb, None, When.BEFORE)
    assert found.ended == DONE[verb]
    check_truth(verb, found)


@pytest.mark.parametrize("when", When)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("verb", ORDERS)
def test_a_fault_during_a_verb(verb: str, fault: str, when: When) -> None:
    found = carried(verb, fault, when)
    ends = TABLE[verb].get(fault, (None, None, None))
    assert found.ended == (ends[list(When).index(when)] or DONE[verb]), found.row.text
    check_truth(verb, found)


@pytest.mark.parametrize("verb", ORDERS)
def test_the_words_of_every_end(verb: str, snapshot: SnapshotAssertion) -> None:
    """One paragraph for each sentence: phase and code, the sentence, by which faults it came."""
    told: dict[tuple[str, str | None, str], list[str]] = {}
    for fault in (None, *FAULTS):
        for when in When if fault else (When.BEFORE,):
            row = carried(verb, fault, when).row
            told.setdefault((str(row.phase), row.code, row.text or ""), []).append(
                f"{fault} {when}" if fault else "no fault"
            )
    paragraphs = [
        f"{phase} {code}\n  {text}\n  by {', '.join(causes)}"
        for (phase, code, text), causes in sorted(told.items())
        if phase != "done"
    ]
    done = [text for (phase, _, text) in told if phase == "done"]
    assert "\n\n".join([*(f"done: {text}" for text in done), *paragraphs]) == snapshot


def test_a_boot_that_failed_is_told_with_its_journal_and_followed_up() -> None:
    found = carried("activate", "fallback", When.BEFORE)
    assert [(item.asked.verb, row.phase) for item, row in found.after] == [("updates", Phase.DONE)]
    assert "SERVER=disabled\n" in (found.state.conf or "")
    assert '"boot_before":["' in (found.row.evidence or "")
