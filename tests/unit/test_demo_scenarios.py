"""Each scenario's evidence, read from the bytes that its host answers.

The reading here is on purpose not the product's parser: it greps, so that both cannot be wrong together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from collectors.errors import ConfigError
from collectors.probe import Frame, read_frame
from console.demo.answers import answer
from console.demo.healthy import HostSpec
from console.demo.scenarios import SCENARIOS, SELECTABLE, parse_counts
from console.demo.world import Access, KeyRecord, SimulatedHost

START = datetime(2026, 8, 18, 10, 20, 30, tzinfo=UTC)
MARK = "0123456789abcdef"
NEWEST, BEFORE, OLDER = "4593.2.5", "4593.2.4", "4593.2.3"
NAMES = ("edge-fra-01", "edge-fra-02", "edge-fra-03", "db-lon-2")


@dataclass(frozen=True)
class Seen:
    """What a host answered, as an operator would grep it."""

    host: SimulatedHost
    frame: Frame

    def text(self, section: str) -> str:
        return self.frame.sections[section].content.decode()

    def flags(self, slot: str) -> tuple[int, ...]:
        line = re.search(r"priority=(\d+) tries=(\d+) successful=(\d)", self.text(f"gpt_{slot}"))
        assert line is not None
        return tuple(int(number) for number in line.groups())

    @property
    def letter(self) -> str:
        return "AB"[self.text("slotdevs").split().index(self.text("usrdev").strip())]

    @property
    def running(self) -> tuple[int, ...]:
        return self.flags(self.letter)

    @property
    def other(self) -> tuple[int, ...]:
        return self.flags("BA"["AB".index(self.letter)])

    @property
    def status(self) -> list[object]:
        data = json.loads(self.text("status"))["data"]
        assert isinstance(data, list)
        return data

    def pairs(self, section: str) -> dict[str, str]:
        return dict(line.split("\t") for line in self.text(section).splitlines() if "\t" in line)

    @property
    def version(self) -> str:
        line = re.search(r'^VERSION_ID="?([0-9.]+)', self.text("os"), flags=re.MULTILINE)
        assert line is not None
        return line[1]

    def unit(self, name: str) -> dict[str, str]:
        records = (block.splitlines() for block in self.text("units").split("\n\n"))
        parsed = (dict(line.split("=", 1) for line in record) for record in records)
        return next(record for record in parsed if record["Id"] == name)

    @property
    def merged(self) -> list[str]:
        usr = next(row for row in json.loads(self.text("sysext")) if row["hierarchy"] == "/usr")
        return [] if usr["extensions"] == "none" else list(usr["extensions"])

    @property
    def is_staged(self) -> bool:
        return self.running == (1, 0, 1) and self.other == (2, 1, 0)


def look(name: str, host: str = NAMES[0], later: timedelta = timedelta()) -> Seen:
    scenario = SELECTABLE[name]
    state = scenario.build(HostSpec(host, START, scenario.flavour))
    return Seen(state, read_frame(answer(state, MARK, START + later), MARK))


Check = Callable[[Seen], None]
EVIDENCE: dict[str, Check] = {}


def evidence(check: Check) -> Check:
    EVIDENCE[check.__name__] = check
    return check


def idle(seen: Seen) -> bool:
    return seen.status[2] == "UPDATE_STATUS_IDLE" and seen.pairs("flags")["staged_marker"] == "0"


@evidence
def current(seen: Seen) -> None:
    assert seen.version == NEWEST
    assert idle(seen)
    assert seen.running == (2, 0, 1)
    assert "No update." in seen.text("journal")
    assert seen.pairs("prefs")["previous-version"] == ""


@evidence
def never_updated(seen: Seen) -> None:
    assert seen.running == (1, 0, 1)
    assert seen.other == (0, 0, 0)
    assert 'VERSION_ID="4757.1.0"' in seen.text("os")
    assert "flatcar.first_boot=detected" in seen.text("cmdline")


@evidence
def just_updated(seen: Seen) -> None:
    assert seen.version == NEWEST
    assert seen.pairs("prefs")["previous-version"] == BEFORE
    assert seen.running[2] == 1
    assert idle(seen)
    assert 60 < float(seen.pairs("ids")["uptime"].split()[0]) < 420


@evidence
def rollback_available(seen: Seen) -> None:
    assert seen.version == "4081.3.10"
    assert seen.other == (1, 0, 1)
    assert idle(seen)
    assert seen.pairs("prefs")["update-state-next-operation"] == "-1"
    assert "manifest version" not in seen.text("journal")


@evidence
def rollback_unsafe(seen: Seen) -> None:
    assert seen.version == NEWEST
    assert seen.other == (1, 0, 1)
    assert idle(seen)
    assert seen.pairs("prefs")["update-state-next-operation"] not in ("", "-1")
    assert f"Omaha Response manifest version = {OLDER}" in seen.text("journal")
    assert "Update failed" not in seen.text("journal")


@evidence
def extension_staged(seen: Seen) -> None:
    _, targets, loops = seen.text("links").split("=\0")
    assert "/opt/extensions/kubernetes/kubernetes-v1.33.4-arm64.raw\0" in targets
    assert "/opt/extensions/kubernetes/kubernetes-v1.33.2-arm64.raw\0" in loops
    assert "kubernetes" in seen.merged


@evidence
def extension_will_drop(seen: Seen) -> None:
    metadata = seen.text("meta").split("=node-agent\0")[1].split("\0")[0]
    assert f"VERSION_ID={NEWEST}\n" in metadata
    assert "SYSEXT_LEVEL" not in metadata
    assert "ID=flatcar\n" in metadata
    assert "node-agent" in seen.merged


@evidence
def behind(seen: Seen) -> None:
    assert seen.version == OLDER
    assert idle(seen)


@evidence
def staging(seen: Seen) -> None:
    assert seen.status[1:4] == [0.46, "UPDATE_STATUS_DOWNLOADING", NEWEST]
    assert seen.version == BEFORE
    assert seen.running == (2, 0, 1)
    assert seen.other == (1, 0, 1)


def _need_reboot(seen: Seen, version: str = NEWEST) -> None:
    assert seen.status[2:4] == ["UPDATE_STATUS_UPDATED_NEED_REBOOT", version]
    assert seen.pairs("flags")["staged_marker"] == "1"
    assert seen.pairs("flags")["reboot_required"] == "1"
    assert seen.pairs("prefs")["previous-version"] == seen.version == BEFORE
    assert "Update successfully applied, waiting to reboot." in seen.text("journal")


@evidence
def staged(seen: Seen) -> None:
    _need_reboot(seen)
    assert seen.is_staged
    assert seen.unit("locksmithd.service")["ActiveState"] == "inactive"
    assert "REBOOT_STRATEGY=off\n" in seen.text("conf")


@evidence
def staged_reset(seen: Seen) -> None:
    assert seen.is_staged
    assert idle(seen)
    assert seen.pairs("flags")["reboot_required"] == "1"


@evidence
def staged_restarted(seen: Seen) -> None:
    _need_reboot(seen, "0.0.0")
    assert seen.is_staged
    assert seen.status[0] == seen.status[4] == 0
    assert seen.text("journal").rindex("Update Engine starting") > seen.text("journal").rindex("applied")


def _locksmithd(seen: Seen, state: str) -> None:
    _need_reboot(seen)
    assert seen.is_staged
    assert seen.unit("locksmithd.service")["ActiveState"] == "active"
    assert sorted(seen.text("coordinator").split("\n")) == [
        "NAME=locksmithd",
        f"STATE={state}",
        "STRATEGY=reboot",
    ]


@evidence
def staged_window(seen: Seen) -> None:
    _locksmithd(seen, "running")
    window = re.search(r'^LOCKSMITHD_REBOOT_WINDOW_START="(\d\d):(\d\d)"$', seen.text("conf"), re.MULTILINE)
    length = re.search(r"^LOCKSMITHD_REBOOT_WINDOW_LENGTH=(\d+)h$", seen.text("conf"), re.MULTILINE)
    assert window is not None
    assert length is not None
    opens = START.replace(hour=int(window[1]), minute=int(window[2]), second=0)
    opened_ago = (START - opens) % timedelta(days=1)
    assert opened_ago >= timedelta(hours=int(length[1]))


@evidence
def staged_will_reboot(seen: Seen) -> None:
    _locksmithd(seen, "reboot-planned")
    assert "WINDOW" not in seen.text("conf")


@evidence
def staged_not_next(seen: Seen) -> None:
    _need_reboot(seen)
    assert seen.running == (2, 0, 1)
    assert seen.other == (1, 1, 0)


@evidence
def rollback_armed(seen: Seen) -> None:
    assert seen.running == (1, 0, 1)
    assert seen.other == (2, 0, 1)
    assert idle(seen)


@evidence
def unconfirmed(seen: Seen) -> None:
    assert seen.running == (2, 0, 0)
    assert seen.other == (1, 0, 1)
    assert seen.pairs("ids")["uptime"].startswith("30.00 ")
    assert seen.pairs("prefs")["previous-version"] == BEFORE


@evidence
def reverted_fresh(seen: Seen) -> None:
    assert seen.running == (1, 0, 1)
    assert seen.other == (2, 0, 0)
    assert seen.pairs("prefs")["previous-version"] == seen.version == BEFORE
    assert idle(seen)


@evidence
def reverted_settled(seen: Seen) -> None:
    assert seen.running == (2, 0, 1)
    assert seen.other == (1, 0, 0)
    assert seen.pairs("prefs")["previous-version"] == seen.version == BEFORE
    assert idle(seen)


@evidence
def failed(seen: Seen) -> None:
    journal = seen.text("journal")
    assert f"Omaha Response manifest version = {NEWEST}" in journal
    assert journal.index("manifest version") < journal.index("Update failed.")
    assert "error code: 10 (kActionCodePayloadHashMismatchError)" in journal
    assert idle(seen)
    assert seen.other == (1, 0, 1)


@evidence
def reset_armed(seen: Seen) -> None:
    assert seen.pairs("flags")["reset_armed"] == "1"
    assert seen.text("boot") == ""
    assert "/boot" not in seen.text("df")


@evidence
def first_boot_armed(seen: Seen) -> None:
    assert seen.pairs("flags")["reset_armed"] == "0"
    assert seen.text("boot") == "armed\n"
    assert "/boot " in seen.text("df")


@evidence
def residue(seen: Seen) -> None:
    assert "SERVER=http://localhost:9090/update\n" in seen.text("conf")
    assert seen.frame.sections["updater"].exit_status == 1
    assert seen.frame.sections["updater"].content == b""


@evidence
def updates_disabled(seen: Seen) -> None:
    assert "SERVER=disabled\n" in seen.text("conf")
    assert seen.text("journal").count("Update failed.") == 3
    assert "error code: 37 (kActionCodeOmahaErrorInHTTPResponse)" in seen.text("journal")
    assert seen.status[0] == 0
    assert any("Could not resolve host: disabled" in line.text for line in seen.host.journal)


def _no_engine(seen: Seen) -> None:
    status = seen.frame.sections["status"]
    assert status.exit_status == 1
    assert status.content.startswith(b"Call failed: The name com.coreos.update1 was not provided by any")


@evidence
def masked(seen: Seen) -> None:
    _no_engine(seen)
    assert seen.unit("update-engine.service")["LoadState"] == "masked"
    assert seen.running[2] == 1


@evidence
def engine_down(seen: Seen) -> None:
    _no_engine(seen)
    unit = seen.unit("update-engine.service")
    assert (unit["LoadState"], unit["ActiveState"], unit["Result"]) == ("loaded", "inactive", "success")
    assert seen.running[2] == 1


@evidence
def drift(seen: Seen) -> None:
    assert "GROUP=beta\n" in seen.text("conf")
    assert "GROUP=stable\n" in seen.text("image_conf")
    assert "Current group set to beta" in seen.text("journal")


@evidence
def extension_incompatible(seen: Seen) -> None:
    listed = {row["name"] for row in json.loads(seen.text("sysext_list"))}
    assert listed - set(seen.merged) == {"wasmtime"}
    assert "=wasmtime\0" not in seen.text("meta")


@evidence
def extension_broken(seen: Seen) -> None:
    assert seen.unit("systemd-sysext.service")["Result"] == "exit-code"
    assert seen.unit("docker.service")["LoadState"] == "not-found"
    assert seen.merged == []
    assert "docker-flatcar.raw" in seen.text("links")
    assert "docker" not in seen.frame.sections
    assert json.loads(seen.text("failed"))[0]["unit"] == "systemd-sysext.service"


@evidence
def degraded(seen: Seen) -> None:
    assert "SystemState=degraded\n" in seen.text("manager")
    assert "NFailedUnits=1\n" in seen.text("manager")
    assert len(json.loads(seen.text("failed"))) == 1


@evidence
def held(seen: Seen) -> None:
    current(seen)
    assert SCENARIOS["held"].hold


@evidence
def pxe(seen: Seen) -> None:
    assert seen.pairs("flags")["no_update"] == "1"
    for name in ("usrdev", "slotdevs", "status", "gpt_A", "gpt_B"):
        assert seen.frame.sections[name].exit_status == 1
    assert "unable to access device" in seen.text("gpt_A")
    assert seen.text("prefs") == ""


@evidence
def not_flatcar(seen: Seen) -> None:
    assert "ID=debian\n" in seen.text("os")
    assert seen.frame.sections["release"].exit_status == 1
    assert seen.frame.sections["gpt_A"].exit_status == 127
    assert seen.unit("update-engine.service")["LoadState"] == "not-found"


@evidence
def status_null(seen: Seen) -> None:
    assert seen.text("status") == "Call failed: Access denied\n"
    assert seen.frame.sections["status"].exit_status == 1
    assert seen.unit("update-engine.service")["ActiveState"] == "active"


@evidence
def unprivileged(seen: Seen) -> None:
    assert not seen.frame.privileged
    assert seen.frame.sections["sudo"].exit_status == 1
    assert "gpt_A" not in seen.frame.sections


@evidence
def silent(seen: Seen) -> None:
    assert seen.host.access is Access.SILENT


@evidence
def auth_refused(seen: Seen) -> None:
    assert seen.host.access is Access.KEY_REFUSED


@evidence
def key_unknown(seen: Seen) -> None:
    assert seen.host.key_record is KeyRecord.MISSING


@evidence
def key_changed(seen: Seen) -> None:
    assert seen.host.key_record is KeyRecord.OTHER


@evidence
def truncated(seen: Seen) -> None:
    assert not seen.frame.complete
    assert "slotdevs" in seen.frame.sections
    assert "units" not in seen.frame.sections
    assert "sudo" not in seen.frame.sections


def test_every_scenario_has_evidence() -> None:
    assert set(EVIDENCE) == set(SCENARIOS)


@pytest.mark.parametrize("host", NAMES)
@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario_shows_its_evidence_at_the_first_look(name: str, host: str) -> None:
    seen = look(name, host)
    EVIDENCE[name](seen)
    assert seen.frame.complete == (name != "truncated")


def test_hosts_run_both_slots() -> None:
    assert {look("current", name).letter for name in NAMES} == {"A", "B"}


@pytest.mark.parametrize("name", sorted(set(SCENARIOS) - {"truncated", "staged_window"}))
def test_evidence_is_the_same_an_hour_later(name: str) -> None:
    EVIDENCE[name](look(name, later=timedelta(hours=1)))


def test_uptime_grows_with_the_clock_and_the_boot_stays() -> None:
    first, later = look("current"), look("current", later=timedelta(minutes=5))
    seconds = [float(seen.pairs("ids")["uptime"].split()[0]) for seen in (first, later)]
    assert seconds[1] - seconds[0] == pytest.approx(300)
    assert first.pairs("ids")["boot_id"] == later.pairs("ids")["boot_id"]


def test_counts_of_scenarios() -> None:
    assert parse_counts(["behind=3", "held", "behind=2", "hostile=1"]) == {
        "behind": 5,
        "held": 1,
        "hostile": 1,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("behnd=3", '--scenario: behnd=3: unknown scenario; did you mean "behind"?'),
        ("staged_restart", 'did you mean "staged_restarted"?'),
        ("qqqqqqqq=1", "known: current, never_updated"),
        ("behind=0", "needs a count of 1 or more, like behind=3"),
        ("behind=", "needs a count"),
        ("behind=-1", "needs a count"),
        ("behind=²", "needs a count"),
        ("", "unknown scenario"),
    ],
)
def test_wrong_counts_are_refused_with_the_nearest_word(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_counts([text])
    assert message in str(caught.value)
    assert caught.value.file == "--scenario"
