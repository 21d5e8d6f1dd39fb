"""The verbs as an operator types them, on a booted host: each end is read from the host's own disk."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.lab.client import Lab
from tests.lab.console import Console
from tests.lab.releases import CHANNELS
from tests.lab.test_on_hosts import Fleet

HOST = "h3"
STABLE = CHANNELS["stable"]
CONF = b"# PCR_SERVER=kept\r\n\nGROUP=stable\r\n  indented = 1 \nREBOOT_STRATEGY=reboot\n# no end"
"""DOS line ends, a comment that names a server, odd spacing, no last newline."""


def give(fleet: Fleet, *words: str, code: int = 0) -> dict[str, Any]:
    """A verb on the host; what the order says of it."""
    told = json.loads(fleet.run(*words, HOST, "--yes", "--json", code=code))
    (found,) = told["hosts"]
    assert isinstance(found, dict)
    return found


def a_release_goes_out_and_comes_back(lab: Lab) -> None:
    """Staged, cancelled, staged, activated, another channel, rolled back: a story of its host alone."""
    with tempfile.TemporaryDirectory() as folder:
        _goes_out_and_comes_back(lab, Fleet.of(lab, Path(folder)))


def _goes_out_and_comes_back(lab: Lab, fleet: Fleet) -> None:
    console = Console.of_fresh(lab, HOST, CONF)
    lab.knob(HOST, {"confirm_after": "4"})
    born, boot = lab.version(HOST), lab.boot_id(HOST)

    assert give(fleet, "stage", STABLE)["code"] == "staged"
    assert console.conf() == CONF
    assert lab.slots(HOST)["B"].tries == 1
    assert give(fleet, "cancel")["code"] == "cancelled"
    assert (lab.slots(HOST)["A"].priority, lab.boot_id(HOST)) == (2, boot)
    assert give(fleet, "roll-back", code=4)["phase"] == "refused"

    assert give(fleet, "stage", STABLE)["code"] == "staged"
    assert give(fleet, "activate")["code"] == "activated"
    assert lab.version(HOST) == STABLE
    assert lab.boot_id(HOST) != boot
    assert lab.slots(HOST)["B"].successful == 1

    assert give(fleet, "channel", "beta")["code"] == "channel-set"
    assert console.conf() == CONF.replace(b"GROUP=stable\r", b"GROUP=beta")

    boot = lab.boot_id(HOST)
    assert give(fleet, "roll-back")["code"] == "rolled-back"
    assert lab.version(HOST) == born
    assert lab.boot_id(HOST) != boot
    assert b"SERVER=disabled" in console.conf()
    quarantined = json.loads(fleet.run("quarantine", "list", "--json"))["quarantined"]
    assert [(item["host"], item["version"]) for item in quarantined] == [(HOST, STABLE)]
    fleet.run("audit", "verify")
