"""Orders as JSON: real ones, from simulated hosts, are as the schema says; and their exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import console
from actions import ledger, order_tables
from actions.orderbook import placed
from actions.orders import Asked, Force, Phase, Verb
from console.cli.following import _host_json
from console.exit_codes import ExitCode
from console.order_document import UNREACHED, exit_code, host_document, order_document, plan_digest
from tests.unit.order_lab import NEW, OrderLab, use_lab_time

__all__ = ["use_lab_time"]

Json = dict[str, Any]
Use = Callable[[OrderLab], OrderLab]
SCHEMA = json.loads(Path(console.__path__[0], "schemas", "fleetctl.order.v1.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
STAGE = Asked(Verb.STAGE, version=NEW)
ACTIVATE = Asked(Verb.ACTIVATE)


@pytest.fixture
def lab(tmp_path: Path, use_lab_time: Use) -> OrderLab:
    return use_lab_time(OrderLab(tmp_path, ["behind", "behind"]))


def document(lab: OrderLab, order_id: str) -> Json:
    """What `fleetctl run ID --json` prints, read back."""
    conn = lab.open()
    try:
        row = order_tables.one_order(conn, order_id)
        assert row is not None
        rows = order_tables.order_hosts(conn, order_id)
        head = ledger.head(conn).whole
    finally:
        conn.close()
    code = exit_code((item.phase, item.code) for item in rows)
    hosts = [_host_json(item) for item in rows]
    return valid(order_document(placed(row), hosts, dry_run=False, head=head, code=code))


def valid(made: Json) -> Json:
    found: Json = json.loads(json.dumps(made))
    VALIDATOR.validate(found)
    return found


def carried_out(lab: OrderLab, asked: Asked, *hosts: str) -> Json:
    order = lab.place(asked, *hosts)
    lab.run(order.id)
    return document(lab, order.id)


def dry_run(lab: OrderLab, asked: Asked, *hosts: str) -> Json:
    order, steps = lab.plan(asked, *hosts)
    code = exit_code((step.phase, step.refusals[0].code if step.refusals else None) for step in steps)
    told = [host_document(step, step.phase) for step in steps]
    return valid(order_document(order, told, dry_run=True, head=None, code=code))


def objects(schema: Any) -> list[Json]:
    """Every object schema in it."""
    if isinstance(schema, list):
        return [found for item in schema for found in objects(item)]
    if not isinstance(schema, dict):
        return []
    below = [found for item in schema.values() for found in objects(item)]
    return [schema, *below] if "properties" in schema and "required" in schema else below


def test_the_schema_is_one_and_wants_every_key_that_it_names() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    found = objects(SCHEMA)
    assert len(found) == 8
    assert [item for item in found if set(item["required"]) != set(item["properties"])] == []


def test_the_schema_knows_the_words_of_orders_and_no_others() -> None:
    defs = SCHEMA["$defs"]
    assert defs["phase"]["enum"] == [str(phase) for phase in Phase]
    assert defs["verb"]["enum"] == [str(verb) for verb in Verb]
    assert defs["force"]["enum"] == [str(force) for force in Force]


def test_done(lab: OrderLab) -> None:
    told = carried_out(lab, STAGE)
    assert (told["verb"], told["counts"], told["exit_code"]) == ("stage", {"done": 2}, 0)
    assert told["ended_at"] is not None
    host = told["hosts"][0]
    assert (host["host"], host["code"], host["goal"]["staged"]) == ("lab-1", "staged", NEW)
    assert host["evidence"]["version"] == NEW
    assert host["sent_at"] is not None
    assert host["moves"][0] == {"what": "OS", "from": "4593.2.3", "to": NEW}


def test_already_so(lab: OrderLab) -> None:
    carried_out(lab, STAGE, "lab-1")
    told = document(lab, lab.place(STAGE, "lab-1").id)
    host = told["hosts"][0]
    assert (host["phase"], host["code"], told["exit_code"]) == ("already", "already-so", 0)
    assert (host["command"], host["guard"], host["goal"], host["deadline_s"]) == (None, None, None, None)


def test_refused_with_the_force_that_would_do(tmp_path: Path, use_lab_time: Use) -> None:
    lab = use_lab_time(OrderLab(tmp_path, ["degraded"]))
    told = document(lab, lab.place(Asked(Verb.REBOOT)).id)
    host = told["hosts"][0]
    assert (host["phase"], host["code"], told["exit_code"]) == ("refused", "degraded", 4)
    assert host["refusals"][0]["force"] == "degraded"
    forced = Asked(Verb.REBOOT, forces={Force.DEGRADED: "ops-7"})
    told = dry_run(lab, forced)
    assert (told["hosts"][0]["phase"], told["asked"]["forces"]) == ("planned", {"degraded": "ops-7"})


def test_not_sent(lab: OrderLab) -> None:
    order = lab.place(STAGE, "lab-1")
    lab.host().run(("systemctl", "reboot"), uid=0)
    lab.life.advance(300)
    lab.run(order.id)
    told = document(lab, order.id)
    host = told["hosts"][0]
    assert (host["phase"], host["code"], told["exit_code"]) == ("not sent", "moved", 4)


def test_failed_and_what_follows_from_it(lab: OrderLab) -> None:
    carried_out(lab, STAGE)
    lab.life.fault("lab-1", "fallback")
    told = carried_out(lab, ACTIVATE)
    first, second = told["hosts"]
    assert (first["phase"], first["code"], second["phase"]) == ("failed", "reverted", "skipped")
    assert (told["counts"], told["exit_code"]) == ({"failed": 1, "skipped": 1}, 7)
    after = document(lab, lab.orders()[-1].id)
    assert (after["after"], after["verb"], after["counts"]) == (told["id"], "updates", {"done": 1})


def test_an_order_that_waits_for_its_runner(lab: OrderLab) -> None:
    told = document(lab, lab.place(STAGE).id)
    assert (told["ended_at"], told["counts"]) == (None, {"planned": 2})


def test_the_dry_run_has_what_would_be_sent_and_no_record(lab: OrderLab) -> None:
    told = dry_run(lab, STAGE)
    assert (told["dry_run"], told["record_head"], told["counts"]) == (True, None, {"planned": 2})
    host = told["hosts"][0]
    assert host["command"].startswith("fleetctl-order-stage/1 sha256:")
    assert (host["since"], host["evidence"]) == (None, None)
    refused = dry_run(lab, ACTIVATE, "lab-1")
    assert (refused["hosts"][0]["refusals"][0]["code"], refused["exit_code"]) == ("nothing-staged", 4)


def test_every_verb_has_a_document(lab: OrderLab) -> None:
    for verb in Verb:
        asked = Asked(verb, channel="beta", mode="off") if not verb.reboots else Asked(verb)
        assert dry_run(lab, asked, "lab-1")["asked"]["verb"] == verb


@pytest.mark.parametrize("key", ["phase", "host", "refusals", "guard"])
def test_the_schema_refuses_a_host_without_a_key(lab: OrderLab, key: str) -> None:
    told = dry_run(lab, STAGE, "lab-1")
    spoiled = deepcopy(told)
    del spoiled["hosts"][0][key]
    assert not VALIDATOR.is_valid(spoiled)
    spoiled = told | {"counts": {"sleeping": 1}}
    assert not VALIDATOR.is_valid(spoiled)


def test_the_digest_of_a_plan_is_of_what_would_be_sent(lab: OrderLab) -> None:
    told = dry_run(lab, STAGE)
    sent = [(host["host"], host["command"]) for host in told["hosts"]]
    assert told["plan_digest"] == plan_digest(sent) == plan_digest(sent[::-1])
    assert told["plan_digest"] == dry_run(lab, STAGE)["plan_digest"], "the same plan, made again"
    assert told["plan_digest"] != dry_run(lab, STAGE, "lab-1")["plan_digest"]
    assert dry_run(lab, ACTIVATE)["plan_digest"] is None
    (host, command), other = sent
    assert len({plan_digest(one) for one in (sent, sent[:1], [(host, command + " "), other])}) == 3


def test_an_order_keeps_the_digest_of_its_plan_to_its_end(lab: OrderLab) -> None:
    before = dry_run(lab, STAGE)["plan_digest"]
    assert carried_out(lab, STAGE)["plan_digest"] == before


def test_a_host_that_moved_is_another_plan(lab: OrderLab) -> None:
    before = dry_run(lab, STAGE)["plan_digest"]
    lab.host().run(("systemctl", "reboot"), uid=0)
    lab.life.advance(300)
    assert dry_run(lab, STAGE)["plan_digest"] not in (before, None)


CODES = [
    ([], ExitCode.OK),
    ([(Phase.DONE, "staged"), (Phase.ALREADY, "already-so")], ExitCode.OK),
    ([(Phase.PLANNED, None), (Phase.DONE, "staged")], ExitCode.UNKNOWN),
    ([(Phase.DONE, "staged"), (Phase.REFUSED, "held")], ExitCode.REFUSED),
    ([(Phase.REFUSED, "unreachable"), (Phase.REFUSED, "held")], ExitCode.REFUSED),
    ([(Phase.NOT_SENT, "moved")], ExitCode.REFUSED),
    ([(Phase.NOT_SENT, "unreachable"), (Phase.DONE, "staged")], ExitCode.NO_ANSWER),
    ([(Phase.REFUSED, "held"), (Phase.FAILED, "reverted")], ExitCode.FAILED),
    ([(Phase.FAILED, "reverted"), (Phase.SKIPPED, "skipped")], ExitCode.FAILED),
    ([(Phase.FAILED, "failed"), (Phase.UNKNOWN, "missing")], ExitCode.UNKNOWN),
    ([(Phase.SENT, None)], ExitCode.UNKNOWN),
    ([(Phase.INTENT, None)], ExitCode.UNKNOWN),
]


@pytest.mark.parametrize(("hosts", "code"), CODES)
def test_the_gravest_host_is_the_exit_code(hosts: list[tuple[Phase, str | None]], code: ExitCode) -> None:
    assert exit_code(hosts) is code


def test_what_is_planned_is_well_as_long_as_it_is_only_a_plan() -> None:
    assert exit_code([(Phase.PLANNED, None), (Phase.ALREADY, "already-so")], is_plan=True) is ExitCode.OK


@pytest.mark.parametrize("code", sorted(UNREACHED))
def test_a_host_that_did_not_answer_says_so(code: str) -> None:
    assert exit_code([(Phase.REFUSED, code)]) is ExitCode.NO_ANSWER
