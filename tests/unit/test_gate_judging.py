"""Verdicts from kept answers: each kind, each way not to answer, hostile bytes, and again later."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.gate_judging import (
    RAW_BYTES,
    GateAnswer,
    QueryForm,
    Verdict,
    judge,
    query_advice,
    query_form,
)
from collectors.fleet_model import Gate, GateKind

AT = datetime(2026, 11, 24, 3, 12, tzinfo=UTC)
COMMAND = Gate("smoke", GateKind.COMMAND, None, argv=("smoke-test", "--fast"))
HTTP = Gate("front", GateKind.HTTP, None, url="https://front.example.net/healthz")
PASS, FAIL, NO_DATA, UNANSWERED = Verdict


def prometheus(query: str) -> Gate:
    return Gate("p99", GateKind.PROMETHEUS, None, url="http://prometheus.example.net:9090", query=query)


YES_NO = prometheus("sum(rate(errors[5m])) < bool 1")
FILTER = prometheus("sum(rate(errors[5m])) < 1")


def answered(gate: Gate, raw: str, status: int | None = 200, **more: Any) -> GateAnswer:
    return GateAnswer(gate.kind, AT, ("as asked",), raw, status=status, **more)


def result(kind: str, found: object, **more: object) -> str:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": found}, **more})


def vector(*samples: tuple[dict[str, str], str], age_s: float = 0.0, **more: object) -> str:
    at = AT.timestamp() - age_s
    return result("vector", [{"metric": metric, "value": [at, value]} for metric, value in samples], **more)


def hosts(kind: GateKind, *seen: tuple[str, bool | None, str]) -> tuple[Gate, GateAnswer]:
    by = [well for _, well, _ in seen]
    raw = {"well": by.count(True), "ill": by.count(False), "unseen": by.count(None)}
    others = [list(host) for host in seen if host[1] is not True]
    answer = GateAnswer(kind, AT, tuple(host[0] for host in seen), json.dumps({**raw, "hosts": others}))
    return Gate("hosts", kind, None), answer


# -- command and http ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(0, PASS), (1, FAIL), (2, FAIL), (75, NO_DATA), (126, UNANSWERED), (127, UNANSWERED), (143, FAIL)],
)
def test_a_commands_exit_status_decides_and_its_last_line_says_why(status: int, verdict: Verdict) -> None:
    judged = judge(COMMAND, answered(COMMAND, "looking\n3 of 5 answered\n\n", status))
    assert judged.verdict is verdict
    assert judged.text == f"ended with {status}: 3 of 5 answered"
    assert judged.values == {"status": str(status)}


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(200, PASS), (204, PASS), (302, FAIL), (404, FAIL), (503, FAIL), (999, UNANSWERED), (None, UNANSWERED)],
)
def test_a_web_servers_status_decides(status: int | None, verdict: Verdict) -> None:
    assert judge(HTTP, answered(HTTP, "", status)).verdict is verdict


def test_a_redirect_says_where_to_and_a_page_of_a_proxy_is_not_quoted() -> None:
    away = judge(HTTP, answered(HTTP, "", 302, leads_to="https://login.example.net/"))
    assert "leads to https://login.example.net/" in away.text
    assert judge(HTTP, answered(HTTP, "<html><h1>Bad Gateway", 502)).text == "answers 502"
    assert judge(HTTP, answered(HTTP, "2 shards\nare down", 503)).text == "answers 503: 2 shards"


@pytest.mark.parametrize("gate", [COMMAND, HTTP, YES_NO, Gate("hosts", GateKind.HEALTH, None)])
def test_no_answer_is_no_verdict_on_the_release(gate: Gate) -> None:
    judged = judge(gate, answered(gate, "", None, why_unanswered="no answer within 30 s"))
    assert (judged.verdict, judged.text) == (UNANSWERED, "no answer within 30 s")


def test_a_person_and_an_answer_of_another_kind_tell_nothing() -> None:
    person = Gate("go", GateKind.PERSON, None)
    assert judge(person, answered(person, "yes")).verdict is UNANSWERED
    assert judge(HTTP, answered(COMMAND, "", 0)).verdict is UNANSWERED


# -- prometheus ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "form"),
    [
        ("sum(rate(errors[5m])) < bool 1", QueryForm.YES_NO),
        ("sum(x) < BOOL 1", QueryForm.YES_NO),
        ("sum(x) < # at most\n bool 1", QueryForm.YES_NO),
        ("(a < bool 1) * on() (b < bool 2)", QueryForm.YES_NO),
        ("sum(x) < bool 1 or vector(0)", QueryForm.YES_NO),
        ('min(up{job=~"a|b", zone!="c"})', QueryForm.YES_NO),
        ('min(up{note="1 < 2 and 3"}) == bool 1', QueryForm.YES_NO),
        ("count(up == 0) == bool 0", QueryForm.YES_NO),
        ("sum_over_time((x < 1)[5m:1m])", QueryForm.YES_NO),
        ("deploy:ok", QueryForm.YES_NO),
        ("", QueryForm.YES_NO),
        ("sum(x) < 1", QueryForm.FILTER),
        ("((sum(x)) < 1)", QueryForm.FILTER),
        ("sum(x) >= sum(y)", QueryForm.FILTER),
        ("(a < bool 1) == 1", QueryForm.FILTER),
        ("a < 1 and b < 2", QueryForm.UNCLEAR),
        ("a < bool 1 and b < bool 2", QueryForm.UNCLEAR),
        ("(a < bool 1) and on() (b < 2)", QueryForm.UNCLEAR),
        ("sum(x) < 1 or vector(0)", QueryForm.UNCLEAR),
        ("vector(1) unless on() (errors > 5)", QueryForm.UNCLEAR),
        ("a < bool 1 > 0", QueryForm.UNCLEAR),
    ],
)
def test_a_querys_form_comes_from_its_outer_operators(query: str, form: QueryForm) -> None:
    assert query_form(query) is form
    assert (query_advice(query) is None) is (form is QueryForm.YES_NO)


LATER = "later than this clock: set the clocks"
NEITHER = "which is no yes or no: compare it with `bool`"
WANTED = "write one that yields a number for each series"
WARNS = "server warns: a\ufffdstore is away"


@pytest.mark.parametrize(
    ("raw", "verdict", "text"),
    [
        (vector(({}, "1")), PASS, "the answer is 1"),
        (vector(({}, "0")), FAIL, "the value is 0"),
        (result("scalar", [AT.timestamp(), "1"]), PASS, "the answer is 1"),
        (result("scalar", [int(AT.timestamp()), "0"]), FAIL, "the value is 0"),
        (
            vector(({"job": "a"}, "1"), ({"job": "b"}, "0"), ({"job": "c"}, "0")),
            FAIL,
            '0 for 2 of 3 series: {job="b"}, {job="c"}',
        ),
        (vector(({"job": "a"}, "1"), ({"job": "b"}, "1")), PASS, "1 for all 2 series"),
        (vector(), NO_DATA, "no series"),
        (vector(({}, "NaN")), NO_DATA, "the value is NaN"),
        (vector(({"job": "a"}, "NaN"), ({"job": "b"}, "1")), NO_DATA, '{job="a"} is NaN'),
        (vector(({"job": "a"}, "NaN"), ({"job": "b"}, "0")), FAIL, '{job="b"} is 0'),
        (vector(({}, "1"), age_s=301), NO_DATA, "the value is 301 s old"),
        (vector(({}, "0"), age_s=301), NO_DATA, "the value is 301 s old"),
        (vector(({}, "1"), age_s=299), PASS, "the answer is 1"),
        (vector(({}, "1"), age_s=-301), NO_DATA, f"the value is of 301 s {LATER}"),
        (vector(({"__name__": "p99", "job": "a"}, "0.7")), UNANSWERED, f'p99{{job="a"}} is 0.7, {NEITHER}'),
        (vector(({}, "+Inf")), UNANSWERED, f"the value is +Inf, {NEITHER}"),
        (vector(({}, "1"), warnings=["a\u202estore is away"]), PASS, f"the answer is 1; {WARNS}"),
        (result("matrix", []), UNANSWERED, f"the query yields a matrix: {WANTED}"),
        (result("string", [1, "1"]), UNANSWERED, f"the query yields a string: {WANTED}"),
    ],
)
def test_a_query_holds_where_each_value_is_1(raw: str, verdict: Verdict, text: str) -> None:
    judged = judge(YES_NO, answered(YES_NO, raw))
    assert (judged.verdict, judged.text) == (verdict, text)


def test_a_filter_that_leaves_nothing_says_how_to_ask_better() -> None:
    judged = judge(FILTER, answered(FILTER, vector()))
    assert judged.verdict is NO_DATA
    assert "`< bool`" in judged.text


@pytest.mark.parametrize("value", ["0", "0.2"])
def test_a_filter_holds_for_the_one_value_that_there_can_be(value: str) -> None:
    judged = judge(FILTER, answered(FILTER, vector(({"__name__": "errors"}, value))))
    assert (judged.verdict, judged.text) == (PASS, f"the comparison holds for {value}")


def test_a_filter_that_may_hide_series_is_no_yes() -> None:
    gate = prometheus("up == 1")
    one = judge(gate, answered(gate, vector(({"instance": "a:9100"}, "1"))))
    two = judge(gate, answered(gate, vector(({"instance": "a:9100"}, "1"), ({"instance": "b:9100"}, "1"))))
    assert [one.verdict, two.verdict] == [UNANSWERED, UNANSWERED]
    assert "leaves out the others" in one.text


def test_comparisons_joined_by_and_are_no_yes_whatever_comes_back() -> None:
    gate = prometheus("a < bool 1 and b < bool 1")
    judged = judge(gate, answered(gate, vector(({}, "1"))))
    assert judged.verdict is UNANSWERED
    assert "join with `*`" in judged.text


ERROR = json.dumps({"status": "error", "errorType": "bad_data", "error": "parse error: unexpected end"})
SAMPLE = {"metric": {}, "value": [AT.timestamp(), "1"]}


@pytest.mark.parametrize(
    ("status", "raw", "words"),
    [
        (400, ERROR, "answers 400: bad_data: parse error: unexpected end"),
        (503, '{"status":"error","errorType":"timeout"}', "answers 503: timeout"),
        (200, ERROR, "answers 200: bad_data: parse error: unexpected end"),
        (502, "<html>Bad Gateway</html>", "answers 502"),
        (200, "<html>login</html>", "answers 200, and not as Prometheus does"),
        (200, "", "answers 200, and not as Prometheus does"),
        (200, "[" * 9000, "answers 200, and not as Prometheus does"),
        (200, "9" * 9000, "answers 200, and not as Prometheus does"),
        (200, '{"status":"success"}', "no result of Prometheus: neither vector nor scalar"),
        (200, result("vector", {"a": 1}), "no result of Prometheus: neither vector nor scalar"),
        (500, vector(({}, "1")), "answers 500"),
        (None, "", "no HTTP answer"),
    ],
)
def test_what_is_no_answer_of_prometheus_is_unanswered(status: int | None, raw: str, words: str) -> None:
    judged = judge(YES_NO, answered(YES_NO, raw, status))
    assert (judged.verdict, judged.text) == (UNANSWERED, words)


@pytest.mark.parametrize(
    "sample",
    [
        None,
        7,
        {},
        {"metric": {}, "histogram": [1, {"count": "5", "sum": "2"}]},
        {"metric": {}, "value": [1, 1]},
        {"metric": {}, "value": [True, "1"]},
        {"metric": {}, "value": [float("nan"), "1"]},
        {"metric": {}, "value": [10**400, "1"]},
        {"metric": {}, "value": [-1, "1"]},
        {"metric": {}, "value": [1, "1_0"]},
        {"metric": {}, "value": [1, "\u0661"]},
        {"metric": {}, "value": [1, "0x1"]},
        {"metric": {}, "value": [1, " 1"]},
        {"metric": {}, "value": [1, "1", "1"]},
    ],
)
def test_a_sample_of_another_shape_spoils_the_answer(sample: object) -> None:
    judged = judge(YES_NO, answered(YES_NO, result("vector", [SAMPLE, sample])))
    assert judged.verdict is UNANSWERED
    assert judged.text.startswith("no sample of Prometheus")


def test_a_cut_answer_is_none_even_if_what_is_left_would_pass() -> None:
    judged = judge(YES_NO, answered(YES_NO, vector(({}, "1")), is_cut=True))
    assert judged.verdict is UNANSWERED
    assert "16 KiB" in judged.text


def test_a_redirect_of_prometheus_is_named() -> None:
    judged = judge(YES_NO, answered(YES_NO, "", 302, leads_to="https://sso.example.net/"))
    assert judged.verdict is UNANSWERED
    assert "leads to https://sso.example.net/" in judged.text


def test_labels_with_anything_in_them_make_one_printable_line() -> None:
    metric: Any = {"a": "\x1b[31m\n\u202e\ud800", "b": "x" * 5000, "c": 7, "d": {"deep": []}}
    judged = judge(YES_NO, answered(YES_NO, result("vector", [{**SAMPLE, "metric": metric}] * 2)))
    (name,) = judged.values
    assert name.isprintable()
    assert len(name) <= 120


# -- hosts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [GateKind.HEALTH, GateKind.CONTRACT])
def test_each_host_that_counts_must_be_well(kind: GateKind) -> None:
    well, ill, unseen = ("a", True, ""), ("b", False, "docker.service failed"), ("c", None, "silent")
    found = [judge(*hosts(kind, *seen)) for seen in ((well,), (well, ill, unseen), (well, unseen), ())]
    assert [(judged.verdict, judged.text) for judged in found] == [
        (PASS, "a is well"),
        (FAIL, "1 of 3 not well: b (docker.service failed)"),
        (UNANSWERED, "1 of 2 not seen: c (silent)"),
        (NO_DATA, "no host counts"),
    ]
    assert found[1].values == {"well": "1", "ill": "1", "unseen": "1"}


def test_many_ill_hosts_are_counted_and_the_first_named() -> None:
    judged = judge(*hosts(GateKind.HEALTH, *((f"web-{n}", False, "") for n in range(40))))
    assert judged.text == "40 of 40 not well: web-0, web-1, web-2, web-3, web-4 and 35 more"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "[]",
        '{"well": 2, "ill": 0, "unseen": 0, "hosts": []}',
        '{"well": true, "ill": 0, "unseen": 0, "hosts": []}',
        '{"well": 1, "ill": 0, "unseen": 0}',
        '{"well": 2, "ill": -1, "unseen": 0, "hosts": []}',
    ],
)
def test_looks_that_do_not_add_up_to_the_hosts_asked_are_no_pass(raw: str) -> None:
    gate, answer = hosts(GateKind.HEALTH, ("a", True, ""))
    assert judge(gate, replace(answer, raw=raw)).verdict is UNANSWERED


# -- any bytes, and again later ------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["status", "data", "resultType", "result", "metric", "value", "warnings", "x"]),
            inner | st.sampled_from(["success", "error", "vector", "scalar"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)
RESULTS = st.builds(
    lambda kind, found, more: result(kind, found, warnings=more),
    st.sampled_from(["vector", "scalar", "matrix"]),
    st.lists(st.fixed_dictionaries({"metric": JSON, "value": st.tuples(JSON, JSON)}) | JSON, max_size=4),
    JSON,
)
RAW = (
    st.binary(max_size=300).map(lambda raw: raw.decode("utf-8", "replace"))
    | JSON.map(json.dumps)
    | RESULTS
    | st.sampled_from([ERROR, vector(({}, "1")), vector(({"a": "b"}, "0"))])
)
GATES = [
    COMMAND,
    HTTP,
    YES_NO,
    FILTER,
    prometheus("a and b < bool 1"),
    *(Gate("hosts", kind, None) for kind in (GateKind.HEALTH, GateKind.CONTRACT, GateKind.PERSON)),
]


@given(
    st.sampled_from(GATES),
    RAW,
    st.none() | st.integers(-1, 1000),
    st.booleans(),
    st.sampled_from(["", "", "", "silent"]),
    st.integers(-600, 600),
)
def test_any_bytes_get_a_verdict_and_the_same_one_from_what_is_stored(
    gate: Gate, raw: str, status: int | None, is_cut: bool, why: str, later_s: int
) -> None:
    at = AT + timedelta(seconds=later_s)
    answer = GateAnswer(
        gate.kind, at, ("a",), raw[:RAW_BYTES], is_cut, status, leads_to="", why_unanswered=why
    )
    judged = judge(gate, answer)
    assert judged.text
    assert judged.text.isprintable()
    assert len(judged.text) <= 400
    stored = msgspec.json.encode(answer)
    assert judge(gate, msgspec.json.decode(stored, type=GateAnswer)) == judged
    builtins = json.loads(json.dumps(msgspec.to_builtins(answer)))
    assert judge(gate, msgspec.convert(builtins, GateAnswer)) == judged
    msgspec.json.encode(judged)


@given(st.text(max_size=80) | st.text("()[]{}<>=!~\"'`# \nandorbl1", max_size=60))
def test_any_query_has_a_form(query: str) -> None:
    assert query_form(query) in QueryForm
    assert query_form(f"({query})") in QueryForm
