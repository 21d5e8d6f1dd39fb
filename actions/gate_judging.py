"""What the answer to a gate's question means: pass, fail, no data, or no answer. Pure.

A verdict comes from the gate and the kept answer alone, so it can be had again from what is stored. Two of
them tell nothing: NO_DATA, where somebody answered and had nothing to go by, and UNANSWERED, where nobody did
or where the question has no yes or no. One answer is one moment: how long a gate must have been good
(`for_s`), how often it may go unanswered (`tries`) and what follows is for the rollout, which gets verdicts
with times.

Total: no answer, whatever is in it, makes `judge` raise. Texts are one printable line.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from actions.rollout_model import GateVerdict
from collectors.fleet_model import Gate, GateKind
from collectors.parse.text import clean

Verdict = GateVerdict
RAW_BYTES = 16 * 1024
STALE_S = 300.0
TEMPFAIL = 75
"""EX_TEMPFAIL of sysexits.h: a command's word for "cannot tell now"."""
_NOT_RUN = (126, 127)  # what shells and env(1) end with where the program they were told is not run
_SENTENCE = 400
_SHOWN = 20
_NAMED = 5
_WHY = 160
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,330}(?:\.[0-9]{1,330})?(?:[eE][+-]?[0-9]{1,4})?|Inf)|NaN")
_LAST_SECOND = 253402300799  # 9999-12-31T23:59:59Z


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """What was asked and what came back, without secrets: all that a verdict needs beside the gate."""

    kind: GateKind
    asked_at: datetime
    """Aware UTC, by the console's clock."""
    asked: tuple[str, ...] = ()
    """COMMAND: the command line; HTTP: the URL; PROMETHEUS: the server's URL, the query; HEALTH, CONTRACT:
    the hosts that count."""
    raw: str = ""
    """At most RAW_BYTES in UTF-8: output, or body. HEALTH, CONTRACT: JSON of how many hosts are `well`, `ill`
    and `unseen`, and of these two `hosts`: [name, false or null, why], as many as fit."""
    is_cut: bool = False
    """There was more than `raw`."""
    status: int | None = None
    """Exit status or HTTP status; None for hosts, and where nobody answered."""
    leads_to: str = ""
    """Where an HTTP answer leads that is a redirect."""
    why_unanswered: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    verdict: GateVerdict
    text: str
    """One sentence."""
    values: Mapping[str, str] = field(default_factory=dict)
    """What decided, for tables; at most _SHOWN of them."""


def judge(gate: Gate, answer: GateAnswer) -> Judged:
    if answer.kind is not gate.kind:
        return _unanswered(f"a gate of kind {gate.kind} has an answer of kind {answer.kind}")
    if answer.why_unanswered:
        return _unanswered(answer.why_unanswered)
    try:
        match gate.kind:
            case GateKind.COMMAND:
                return _of_command(answer)
            case GateKind.HTTP:
                return _of_http(answer)
            case GateKind.PROMETHEUS:
                return _of_prometheus(gate.query or "", answer)
            case GateKind.HEALTH | GateKind.CONTRACT:
                return _of_hosts(answer)
    except _NoAnswer as no_answer:
        return _unanswered(str(no_answer))
    return _unanswered("only a person answers it")


class _NoAnswer(Exception):
    """What came back is no answer to what was asked, in a sentence."""


def _judged(verdict: GateVerdict, text: str, values: Mapping[str, str] | None = None) -> Judged:
    return Judged(verdict, clean(text, _SENTENCE), values or {})


def _unanswered(text: str) -> Judged:
    return _judged(Verdict.UNANSWERED, text)


# -- command, http -------------------------------------------------------------------------------------


def _of_command(answer: GateAnswer) -> Judged:
    status = answer.status
    if status is None:
        raise _NoAnswer("its end is not known")
    last = answer.raw.rstrip().rpartition("\n")[2]
    text = f"ended with {status}" + (f": {last}" if last else "")
    if status == 0:
        verdict = Verdict.PASS
    elif status == TEMPFAIL:
        verdict = Verdict.NO_DATA
    elif status in _NOT_RUN or status < 0:
        verdict = Verdict.UNANSWERED
    else:
        verdict = Verdict.FAIL
    return _judged(verdict, text, {"status": str(status)})


def _of_http(answer: GateAnswer) -> Judged:
    status = answer.status
    if status is None or not 200 <= status < 600:
        raise _NoAnswer("no HTTP answer" if status is None else f"answers {status}")
    values = {"status": str(status)}
    if status < 300:
        return _judged(Verdict.PASS, f"answers {status}", values)
    if status < 400:
        return _judged(Verdict.FAIL, _redirect(answer), values)
    first = answer.raw.strip().partition("\n")[0]
    said = f": {clean(first, _WHY)}" if first and not first.startswith("<") else ""
    return _judged(Verdict.FAIL, f"answers {status}{said}", values)


def _redirect(answer: GateAnswer) -> str:
    where = f" and leads to {answer.leads_to}" if answer.leads_to else ""
    return f"answers {answer.status}{where}: redirects are not followed"


# -- prometheus ----------------------------------------------------------------------------------------


class QueryForm(StrEnum):
    """What the values of a query's answer say."""

    YES_NO = "yes-no"
    """1 and 0."""
    FILTER = "filter"
    """Nothing: a comparison without `bool` answers with what it holds for, and leaves out the rest."""
    UNCLEAR = "unclear"
    """Nothing, and neither does what is left out: comparisons joined by set operators."""


_PART = re.compile(
    r"""(?P<skip>\#[^\n]*|"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|`[^`]*`?|\s+)"""
    r"|(?P<open>[({\[])|(?P<close>[)}\]])|(?P<matcher>=~|!~)|(?P<compare>==|!=|<=|>=|<|>)"
    r"|(?P<word>[A-Za-z0-9_:.]+)|(?P<other>.)",
    re.DOTALL,
)
_SET_WORDS = ("and", "or", "unless")


def query_form(query: str) -> QueryForm:
    """How a PromQL expression's answer is to be read, from its operators.

    Sources: prometheus/prometheus:docs/querying/operators.md@2d9efc5a8a8c.
    """
    return _form(query)[0]


def query_advice(query: str) -> str | None:
    """How a query is better written; None: its answer says yes or no."""
    form, operator = _form(query)
    match form:
        case QueryForm.FILTER:
            return f"write `{operator} bool` for `{operator}`: then 0 is no, and empty is no data"
        case QueryForm.UNCLEAR:
            return "and, or and unless take no notice of values: compare with `bool`, and join with `*`"
    return None


def _form(query: str) -> tuple[QueryForm, str]:
    """With the first operator that filters."""
    parts = _without_outer_parentheses(list(_parts(query)))
    following = [word for _, word, _ in parts[1:]] + [""]
    filters: list[tuple[int, str]] = []
    bools: list[int] = []
    set_words: list[str] = []
    for (kind, word, depth), after in zip(parts, following, strict=False):
        if kind == "compare":
            if after == "bool":
                bools.append(depth)
            else:
                filters.append((depth, word))
        elif kind == "word" and depth == 0 and word in _SET_WORDS:
            set_words.append(word)
    if set_words and (filters or ("and" in set_words and bools)):
        return QueryForm.UNCLEAR, ""
    outer = [word for depth, word in filters if depth == 0]
    if outer:
        return (QueryForm.UNCLEAR, "") if 0 in bools else (QueryForm.FILTER, outer[0])
    return QueryForm.YES_NO, ""


def _parts(query: str) -> Iterator[tuple[str, str, int]]:
    """Kind, word in lower case, depth of parentheses; matchers and ranges are left out."""
    depth = other_depth = 0
    for found in _PART.finditer(query):
        kind, word = found.lastgroup or "", found[0].lower()
        if kind == "skip":
            continue
        if word in "{[":
            other_depth += 1
        elif word in "}]":
            other_depth = max(other_depth - 1, 0)
        elif not other_depth:
            depth -= word == ")"
            yield kind, word, depth
            depth += word == "("


def _without_outer_parentheses(parts: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """One pair that is around everything is around nothing."""
    while (
        len(parts) > 1
        and parts[0][1] == "("
        and parts[-1][1] == ")"
        and all(depth > 0 for _, _, depth in parts[1:-1])
    ):
        parts = [(kind, word, depth - 1) for kind, word, depth in parts[1:-1]]
    return parts


@dataclass(frozen=True, slots=True)
class _Sample:
    name: str
    is_bare: bool
    """Without labels: the only one that there can be."""
    at: float
    value: float
    shown: str


def _of_prometheus(query: str, answer: GateAnswer) -> Judged:
    """Source: prometheus/prometheus:docs/querying/api.md@4f1db75e287a."""
    document = _document(answer)
    notes = "".join(f"; server warns: {clean(text, _WHY)}" for text in _warnings(document)[:2])
    form, advice = query_form(query), query_advice(query)
    samples = _samples(document.get("data"))
    values = {sample.name: sample.shown for sample in samples[:_SHOWN]}
    if form is QueryForm.UNCLEAR:
        raise _NoAnswer(f"the query has no yes or no: {advice}{notes}")
    if not samples:
        hint = f", or the comparison does not hold: {advice}" if advice else ""
        return _judged(Verdict.NO_DATA, f"no series{hint}{notes}", values)
    whys = [_why_unusable(sample, answer.asked_at) for sample in samples]
    usable = [sample for sample, why in zip(samples, whys, strict=True) if why is None]
    verdict, text = _filtered(samples, advice) if form is QueryForm.FILTER else _yes_or_no(usable)
    first = next((why for why in whys if why is not None), None)
    if first is not None and verdict is not Verdict.FAIL:
        verdict, text = Verdict.NO_DATA, first
    return _judged(verdict, text + notes, values)


def _filtered(samples: Sequence[_Sample], advice: str | None) -> tuple[GateVerdict, str]:
    """A series without labels is all that there was; beside one with labels others may be left out."""
    if len(samples) == 1 and samples[0].is_bare:
        return Verdict.PASS, f"the comparison holds for {samples[0].shown}"
    what = "1 series" if len(samples) == 1 else f"{len(samples)} series"
    return Verdict.UNANSWERED, f"holds for {what}, and the answer leaves out the others: {advice}"


def _yes_or_no(samples: Sequence[_Sample]) -> tuple[GateVerdict, str]:
    odd = next((sample for sample in samples if sample.value not in (0.0, 1.0)), None)
    if odd is not None:
        what = f"{odd.name} is {odd.shown}"
        return Verdict.UNANSWERED, f"{what}, which is no yes or no: compare it with `bool`"
    bad = [sample.name for sample in samples if not sample.value]
    if bad and len(samples) > 1:
        return Verdict.FAIL, f"0 for {len(bad)} of {len(samples)} series: {_named(bad)}"
    if bad:
        return Verdict.FAIL, f"{bad[0]} is 0"
    return Verdict.PASS, f"1 for all {len(samples)} series" if len(samples) > 1 else "the answer is 1"


def _why_unusable(sample: _Sample, asked_at: datetime) -> str | None:
    """Prometheus dates a sample with the query's own moment: an old one is a cache's or a wrong clock's."""
    if math.isnan(sample.value):
        return f"{sample.name} is NaN"
    age_s = asked_at.timestamp() - sample.at
    if age_s > STALE_S:
        return f"{sample.name} is {age_s:.0f} s old"
    if age_s < -STALE_S:
        return f"{sample.name} is of {-age_s:.0f} s later than this clock: set the clocks"
    return None


def _document(answer: GateAnswer) -> dict[str, Any]:
    """The whole of a successful answer. Raises _NoAnswer."""
    status = answer.status
    answers = "no HTTP answer" if status is None else f"answers {status}"
    is_good = status is not None and 200 <= status < 300
    if answer.is_cut and is_good:
        raise _NoAnswer(f"{answers} with more than {RAW_BYTES // 1024} KiB: ask for less, as in `min(…)`")
    if status is not None and 300 <= status < 400:
        raise _NoAnswer(_redirect(answer))
    found = _json(answer.raw)
    if not isinstance(found, dict) or found.get("status") not in ("success", "error"):
        raise _NoAnswer(f"{answers}, and not as Prometheus does" if is_good else answers)
    if found["status"] == "error" or not is_good:
        words = [text for key in ("errorType", "error") if isinstance(text := found.get(key), str) and text]
        said = f": {clean(': '.join(words), _WHY)}" if words else ""
        raise _NoAnswer(f"{answers}{said}")
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _warnings(document: Mapping[str, Any]) -> list[str]:
    found = document.get("warnings")
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []


def _samples(data: object) -> list[_Sample]:
    """Raises _NoAnswer."""
    kind = data.get("resultType") if isinstance(data, dict) else None
    result = data.get("result") if isinstance(data, dict) else None
    if kind == "scalar":
        return [_sample({}, result)]
    if kind in ("matrix", "string"):
        raise _NoAnswer(f"the query yields a {kind}: write one that yields a number for each series")
    if kind != "vector" or not isinstance(result, list):
        raise _NoAnswer("no result of Prometheus: neither vector nor scalar")
    return [_sample(item.get("metric"), item.get("value")) for item in map(_as_dict, result)]


def _as_dict(item: object) -> dict[str, Any]:
    return item if isinstance(item, dict) else {}


def _sample(metric: object, pair: object) -> _Sample:
    match pair:
        case [int() | float() as at, str() as text] if (
            0 <= at <= _LAST_SECOND and not isinstance(at, bool) and _NUMBER.fullmatch(text)
        ):
            labels = {key: value for key, value in _as_dict(metric).items() if isinstance(value, str)}
            name = labels.pop("__name__", "")
            inside = ", ".join(f'{key}="{labels[key]}"' for key in sorted(labels)[:_NAMED])
            name = clean(f"{name}{{{inside}}}" if inside else name, 120) or "the value"
            return _Sample(name, not labels, float(at), float(text), clean(text, 40))
    raise _NoAnswer("no sample of Prometheus: [time, value] with a number in quotes")


# -- hosts ---------------------------------------------------------------------------------------------


def _of_hosts(answer: GateAnswer) -> Judged:
    found = _as_dict(_json(answer.raw))
    counts = [found.get(key) for key in ("well", "ill", "unseen")]
    well, ill, unseen = (count if type(count) is int and count >= 0 else -1 for count in counts)
    hosts = found.get("hosts")
    if min(well, ill, unseen) < 0 or well + ill + unseen != len(answer.asked) or not isinstance(hosts, list):
        raise _NoAnswer("the kept looks at its hosts are damaged")
    values = {"well": str(well), "ill": str(ill), "unseen": str(unseen)}
    total = len(answer.asked)
    if not total:
        return _judged(Verdict.NO_DATA, "no host counts", values)
    if ill:
        return _judged(Verdict.FAIL, f"{ill} of {total} not well: {_whom(hosts, False, ill)}", values)
    if unseen:
        return _judged(
            Verdict.UNANSWERED, f"{unseen} of {total} not seen: {_whom(hosts, None, unseen)}", values
        )
    return _judged(Verdict.PASS, f"all {total} well" if total > 1 else f"{answer.asked[0]} is well", values)


def _whom(hosts: Sequence[object], well: bool | None, count: int) -> str:
    named: list[str] = []
    for host in hosts:
        match host:
            case [str() as name, seen, str() as why] if seen is well:
                named.append(f"{name} ({why})" if why else name)
    return _named(named, count)


def _named(names: Sequence[str], count: int | None = None) -> str:
    """The first of them, and how many more there are."""
    shown = names[:_NAMED]
    more = (len(names) if count is None else count) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 and shown else "")
