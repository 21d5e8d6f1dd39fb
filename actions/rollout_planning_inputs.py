"""What a plan was made from: its digest, and what has changed since. Pure.

An approval is for a plan and for these inputs. They are made again when the plan is started; where they
differ, it is refused and the difference is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import msgspec

from actions.policy_look import update_mode
from actions.rollout_plan import Plan, PlanHost
from actions.rollout_planning_hosts import Stored, slot_words
from collectors.fleet_model import RolloutTemplate, Window
from collectors.parse.update_conf import effective_group

Inputs = dict[str, Any]
"""JSON: `template`, `windows`, `cohorts` (selection -> hosts), `hosts` (name -> what is stored)."""
_WORDS = {
    "machine_id": "machine id",
    "running": "running slot",
    "update_mode": "updates",
    "wanted_updates": "wanted updates",
    "reboot_deadline_s": "reboot_deadline",
    "confirm_deadline_s": "confirm_deadline",
}
TOLD = 12
"""Differences told one by one."""


def inputs_of(
    template: RolloutTemplate,
    windows: Sequence[Window],
    hosts: Sequence[Stored],
    matches: Mapping[str, frozenset[str]],
) -> Inputs:
    names = {stored.host.name for stored in hosts}
    made = {
        "template": template,
        "windows": windows,
        "cohorts": {text: sorted(found & names) for text, found in matches.items()},
        "hosts": {stored.host.name: _host(stored) for stored in hosts},
    }
    decoded: Inputs = msgspec.json.decode(msgspec.json.encode(made))
    return decoded


def _host(stored: Stored) -> Inputs:
    facts, host = stored.facts, stored.host
    return {
        "machine_id": stored.machine_id,
        "version": stored.version,
        "running": facts.running if facts else None,
        "slots": slot_words(facts.slots) if facts else None,
        "staged": facts.new_version if facts else None,
        "group": effective_group(facts.conf, facts.image_conf) if facts else None,
        "update_mode": update_mode(facts) if facts else None,
        "wanted_updates": host.updates,
        "channel": host.channel,
        "hold": stored.hold,
        "pin": stored.pin,
        "quarantine": sorted(stored.quarantine),
        "labels": dict(host.labels),
        "reboot_deadline_s": host.reboot_deadline_s,
        "confirm_deadline_s": host.confirm_deadline_s,
    }


def digest_of(inputs: Inputs) -> str:
    """SHA-256 in hex."""
    return sha256(msgspec.json.encode(inputs, order="deterministic")).hexdigest()


def changes(was: Inputs, now: Inputs) -> list[str]:
    """What differs, a sentence each; hosts by name."""
    found = []
    before, after = was["hosts"], now["hosts"]
    for name in sorted({*before, *after}):
        if name not in after:
            found.append(f"{name}: it is no host of the fleet any more")
        elif name not in before:
            found.append(f"{name}: it was not in the plan")
        else:
            found += [f"{name}: {text}" for text in _differences(before[name], after[name])]
    for text in sorted({*was["cohorts"], *now["cohorts"]}):
        gone, come = (set(one["cohorts"].get(text, ())) for one in (was, now))
        if gone != come:
            found.append(f"{text} means other hosts: {', '.join(sorted(gone ^ come)[:5])}")
    if was["template"] != now["template"]:
        keys = [key for key in now["template"] if was["template"].get(key) != now["template"][key]]
        found.append(f"the fleet file's template says otherwise: {', '.join(keys)}")
    if was["windows"] != now["windows"]:
        found.append("a window of the fleet file is another")
    return found


def _differences(before: Inputs, after: Inputs) -> list[str]:
    keys = [key for key in after if before.get(key) != after[key]]
    return [f"{_WORDS.get(key, key)} {_told(after[key])}, was {_told(before.get(key))}" for key in keys]


def _told(value: object) -> str:
    if value is None or value in ([], {}):
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def plan_changes(was: Plan, now: Plan) -> list[str]:
    """What the plan would say otherwise now, for what its inputs do not name; hosts by name."""
    found = []
    for own in was.hosts:
        new = now.by_name.get(own.name)
        if new is None:
            found.append(f"{own.name}: it would be in no cohort")
        elif (own.skipped, own.cohort) != (new.skipped, new.cohort):
            found.append(f"{own.name}: {_part(now, new)}, was {_part(was, own)}")
        elif (own.moves_itself, own.quiets) != (new.moves_itself, new.quiets):
            moves = "may move by itself now" if new.moves_itself else "would not move by itself any more"
            found.append(f"{own.name}: it {moves}")
    same = replace(now, made_at=was.made_at, snapshot=was.snapshot)
    if not found and same != was:
        found.append("the plan made from the same inputs is another: plan anew")
    return found


def _part(plan: Plan, host: PlanHost) -> str:
    return f"left out ({host.skipped})" if host.skipped else f"in {plan.cohorts[host.cohort].name}"
