"""The plan of one host: what moves, what is said, what guards it, what must be seen after."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actions.orders import Asked, Baseline, Force, Goal, Guard, Phase, Step, Verb
from actions.planning import QUICK_DEADLINE_S, STAGE_DEADLINE_S, plan_step
from actions.policy import decide
from actions.policy_look import Look
from actions.remote.extra import UnitFile
from actions.situation import Wish
from collectors.facts import (
    Attempt,
    ExtensionLink,
    ExtensionMeta,
    Extensions,
    Flags,
    Identity,
    Operation,
    Passing,
    UpdateConf,
)
from collectors.fleet_model import WantedUpdates
from collectors.releases import Feed, parse_feed
from tests.builders import HEALTHY, NOW, UNITS, facts, table, unit
from tests.unit.test_policy import (
    ACTIVATE,
    BACK,
    BOUND,
    CANCEL,
    CHANNEL,
    FREE,
    INTACT,
    LEVEL,
    LOCALHOST,
    NEW,
    OFF,
    OFFER,
    OLD,
    REBOOT,
    REPAIR,
    RESET,
    ROLL_BACK,
    STAGE,
    STAGED,
    extra,
    old,
    seen,
)

STAGED_FLAGS = ("priority=1 tries=0 successful=1", "priority=2 tries=1 successful=0")


def planned(asked: Asked, look: Look) -> Step:
    return plan_step(asked, look, decide(asked, look))


def goal(asked: Asked, look: Look) -> Goal:
    found = planned(asked, look).goal
    assert found is not None
    return found


def said(asked: Asked, look: Look) -> str:
    return "\n".join(planned(asked, look).says)


def released() -> Feed:
    entry = (
        f'{{"{NEW}": {{"channel": "stable", "release_date": "2026-11-10 08:00:00 +0000", "major_software":'
        ' {"kernel": ["6.12.58"], "containerd": ["2.1.5"], "docker": ["28.0.4"]}}}'
    )
    return parse_feed(entry.encode(), taken_at=NOW, source="test", digest="x")


def test_a_refused_host_has_a_step_that_sends_nothing() -> None:
    step = planned(REBOOT, seen(STAGED))
    assert (step.phase, step.guard, step.goal, step.command) == (Phase.REFUSED, None, None, None)
    assert [item.code for item in step.refusals] == ["next-is-other"]
    assert step.verb is Verb.REBOOT


def test_a_host_where_it_is_so_already_says_so() -> None:
    step = planned(STAGE, seen(STAGED))
    assert (step.phase, step.guard, step.goal) == (Phase.ALREADY, None, None)
    assert step.says == (f"already so: {NEW} is staged in B, it boots next",)


def test_the_guard_has_the_words_that_the_host_compares() -> None:
    step = planned(CANCEL, extra(STAGED, conf_digest="d" * 64))
    assert step.guard == Guard("boot-1", *STAGED_FLAGS, "UPDATE_STATUS_UPDATED_NEED_REBOOT", "d" * 64)
    assert step.machine_id == "a" * 32
    assert step.command is None


def test_what_moves_is_told_where_the_feed_knows_it() -> None:
    own = Identity("a" * 32, "boot-1", kernel="6.12.50-flatcar", containerd="2.0.7", docker="28.0.1")
    look = seen(facts(identity=own), feed=released())
    assert planned(STAGE, look).moves == (
        ("OS", "4593.2.5", NEW),
        ("kernel", "6.12.50", "6.12.58"),
        ("containerd", "2.0.7", "2.1.5"),
        ("docker", "28.0.1", "28.0.4"),
    )
    unknown = seen(facts(identity=own), feed=None)
    assert planned(STAGE, unknown).moves[1] == ("kernel", "6.12.50", None)


@pytest.mark.parametrize("asked", [REBOOT, OFFER, CHANNEL, OFF])
def test_a_verb_that_moves_no_version_that_is_known_tells_no_move(asked: Asked) -> None:
    assert planned(asked, seen()).moves == ()


@pytest.mark.parametrize(
    ("asked", "look", "wanted"),
    [
        (STAGE, seen(), Goal(staged=NEW, next="B", operation=Operation.NEED_REBOOT)),
        (OFFER, seen(), Goal(next="B", operation=Operation.NEED_REBOOT)),
        (CANCEL, seen(STAGED), Goal(next="A", operation=Operation.IDLE)),
        (
            replace(CANCEL, and_updates_off=True),
            seen(STAGED),
            Goal(next="A", operation=Operation.IDLE, server="disabled"),
        ),
        (
            ACTIVATE,
            seen(STAGED),
            Goal(boot_id_not="boot-1", running="B", version=NEW, extensions=(), confirmed=True),
        ),
        (
            REBOOT,
            seen(),
            Goal(boot_id_not="boot-1", running="A", version="4593.2.5", extensions=(), confirmed=True),
        ),
        (
            ROLL_BACK,
            BACK,
            Goal(
                boot_id_not="boot-1",
                running="B",
                version=OLD,
                server="disabled",
                extensions=(),
                confirmed=True,
            ),
        ),
        (CHANNEL, seen(), Goal(group="beta")),
        (OFF, seen(), Goal(server="disabled")),
        (
            Asked(Verb.UPDATES, mode="on"),
            seen(facts(conf=UpdateConf(server="disabled"))),
            Goal(server="self"),
        ),
        (REPAIR, seen(RESET), Goal(next="A", operation=Operation.IDLE)),
        (REPAIR, seen(facts(conf=LOCALHOST)), Goal(server="self")),
        (
            REPAIR,
            seen(facts(conf=LOCALHOST), wish=Wish(updates=WantedUpdates.MANAGED)),
            Goal(server="disabled"),
        ),
    ],
)
def test_what_the_host_must_show(asked: Asked, look: Look, wanted: Goal) -> None:
    assert goal(asked, look) == wanted


def test_deadlines_are_those_of_the_fleet_file_where_a_reboot_is_waited_for() -> None:
    step = planned(REBOOT, seen())
    assert (step.deadline_s, step.confirm_s) == (1200.0, 300.0)
    assert planned(STAGE, seen()).deadline_s == STAGE_DEADLINE_S
    assert planned(OFF, seen()).deadline_s == QUICK_DEADLINE_S


def test_the_baseline_is_what_the_host_was() -> None:
    host = facts(
        failed_units=("old.service",),
        units=UNITS | {"db.service": unit(), "kubelet.service": unit("inactive")},
        attempt=Attempt(started_at=NOW, failed_at=NOW),
        passing=Passing(containers=7, last_checked_at=NOW),
    )
    asked = replace(REBOOT, forces={Force.DEGRADED: "known"})
    step = planned(asked, seen(host, wish=Wish(units=("db.service", "gone.service"))))
    assert step.baseline == Baseline(
        running="A",
        version="4593.2.5",
        last_checked_at=NOW,
        check_started_at=NOW,
        check_failed_at=NOW,
        failed_units=("old.service",),
        active_units=("containerd.service", "db.service"),
        containers=7,
    )


def test_extensions_that_the_next_os_keeps_must_be_merged_again() -> None:
    meta = {"own": ExtensionMeta(id="_any")} | LEVEL.meta
    merged = Extensions(merged=("own", "tool"), meta=meta)
    assert goal(ACTIVATE, seen(replace(STAGED, extensions=merged))).extensions == ("own", "tool")
    assert goal(ACTIVATE, seen(replace(STAGED, extensions=BOUND))).extensions == ()
    assert goal(REBOOT, seen(facts(extensions=BOUND))).extensions == ("tool",)
    assert "not merged any more after the boot: tool" in said(
        ACTIVATE, seen(replace(STAGED, extensions=BOUND))
    )


def test_a_release_without_built_in_extensions_is_not_asked_for_them() -> None:
    merged = Extensions(merged=("docker-flatcar",), meta={"docker-flatcar": ExtensionMeta(id="flatcar")})
    proof = replace(INTACT, version="3510.3.6")
    assert goal(ROLL_BACK, seen(facts(extensions=merged), proof=proof)).extensions == ()
    assert goal(ROLL_BACK, seen(facts(extensions=merged), proof=INTACT)).extensions == ("docker-flatcar",)


def test_staging_says_what_cannot_be_undone() -> None:
    words = said(STAGE, seen())
    assert "B is overwritten at once" in words
    assert "its own updates stay on" in words
    assert "4081.3.10 is older than 4593.2.5" in said(replace(STAGE, version="4081.3.10"), seen())
    assert "4593.9.9 is not in the release feed" in said(replace(STAGE, version="4593.9.9"), seen())
    assert "which version the server offers is not known" in said(OFFER, seen())
    accepted = replace(STAGE, accept_drop=("tool",))
    assert "not merged any more after the update: tool" in said(accepted, seen(facts(extensions=BOUND)))
    assert "cannot be activated" in said(STAGE, seen(facts(flags=Flags(False, False, False, True, False))))


def test_cancel_says_what_the_other_slot_is_worth_then() -> None:
    assert f"B now holds {NEW} unconfirmed, no roll-back" in said(CANCEL, seen(STAGED))
    armed_back = facts(slots=table("1/0/1", "2/0/1"))
    assert "B stays confirmed; A boots next again" in said(CANCEL, seen(armed_back))
    links = {"tool": ExtensionLink("/etc/extensions/tool.raw", "/opt/extensions/tool/tool-2.raw", True)}
    waits = Extensions(merged=("tool",), links=links, loops=("/opt/extensions/tool/tool-1.raw",))
    assert "/run/reboot-required stays" in said(CANCEL, seen(replace(STAGED, extensions=waits)))


def test_a_boot_says_where_it_goes_and_what_it_falls_back_to() -> None:
    assert f"B {NEW} boots next, one try, else back to A 4593.2.5" in said(ACTIVATE, seen(STAGED))
    back = said(ROLL_BACK, BACK)
    assert f"B {OLD} boots next, one try, else back to A" in back
    assert "4593.2.5 is quarantined on this host" in back


def test_what_was_forced_is_said_with_its_reason() -> None:
    asked = replace(REBOOT, forces={Force.HOLD: "ops-7"})
    assert (
        said(asked, seen(wish=Wish(hold="ops-1432"))) == "forced hold (ops-7): not to be rebooted: ops-1432"
    )


def test_a_channel_says_when_it_counts() -> None:
    stable = Asked(Verb.CHANNEL, channel="stable")
    beta = replace(old("4757.1.0"), conf=UpdateConf(group="beta"))
    assert "will not move until stable > 4757.1.0" in said(stable, seen(beta))
    assert said(CHANNEL, seen()) == ""
    assert "lts-YEAR stays" in said(Asked(Verb.CHANNEL, channel="lts"), seen())
    assert "stays staged" in said(CHANNEL, seen(STAGED))
    off = UpdateConf(server="disabled", odd_lines=(" GROUP=x",))
    assert "counts once they are on" in said(CHANNEL, seen(facts(conf=off)))
    assert "reads otherwise than meant" in said(CHANNEL, seen(facts(conf=off)))
    own = UpdateConf(server="https://own.example/v1/update/")
    mine = Asked(Verb.CHANNEL, channel="edge-canary")
    assert "whether it exists there is not known" in said(mine, seen(facts(conf=own)))


def test_updates_say_what_they_replace() -> None:
    own = UpdateConf(server="https://own.example/v1/update/")
    assert "https://own.example/v1/update/ is replaced" in said(OFF, seen(facts(conf=own)))
    assert "stays staged" in said(OFF, seen(STAGED))
    on = Asked(Verb.UPDATES, mode="on")
    masked = UNITS | {"update-engine.service": unit(load="masked")}
    look = seen(facts(conf=UpdateConf(server="disabled"), units=masked))
    assert "update-engine is masked all the same" in said(on, look)


def test_a_repair_says_each_thing_that_it_puts_right() -> None:
    held = replace(FREE, runtime=UnitFile.MASK, held_by="o-gone")
    words = said(REPAIR, extra(replace(RESET, conf=LOCALHOST), locksmithd=held))
    assert "what it was before is lost" in words
    assert "the running slot boots next again" in words
    assert "is given back" in words
    marks = replace(STAGED, slots=table("2/0/1", "1/1/0"))
    assert "update_engine's status is reset" in said(REPAIR, seen(marks))


def test_a_healthy_reboot_has_nothing_to_say() -> None:
    assert said(REBOOT, seen(HEALTHY)) == ""
