"""Orders as lines and words: never wider than asked for, nothing drawn by a host, each sign with its word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.orders import Force, Phase, Refusal, Verb
from console.board import Look
from console.order_board import (
    Entry,
    OrderBoard,
    OrderCard,
    OrderHost,
    counted,
    entries,
    force_words,
    host_order,
    inverse,
    progress_words,
    reason_words,
    sentence,
    title,
)
from console.render_orders import (
    Place,
    about_lines,
    card_lines,
    card_sign,
    entry_height,
    entry_lines,
    host_sign,
    name_room,
    order_copy,
    sentence_lines,
)
from console.tone import Tone
from console.visible import cells
from tests.unit import test_order_board as orders

NOW = datetime(2026, 8, 20, 3, 12, 14, tzinfo=timezone(timedelta(hours=2), "CEST"))
BACK = (
    "B 4593.2.5 did not come up, it is back in A 4593.2.4: look at its console log of that boot, then "
    "acknowledge it"
)
WROTE = (
    "Aug 20 02:58:41 edge-03 systemd[1]: Failed to start update-engine.service.",
    "Aug 20 02:59:02 edge-03 kernel: EXT4-fs error (device sda9): ext4_find_entry",
)
WINDOW = Refusal(
    "window-shut",
    "the window (night) is shut; it opens Tue 2026-08-25 02:00 UTC, or --force window",
    "fleet file",
    Force.WINDOW,
)
HELD = Refusal(
    "held", "not to be rebooted: antenna work, ops-1440; unhold the host, or --force hold", "", Force.HOLD
)
ARMED = Refusal("reset-armed", "the next boot wipes it; remove /selective-os-reset on the host first")


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def host_at(name: str, phase: Phase, minutes: float, verb: Verb = Verb.ACTIVATE, **more: object) -> OrderHost:
    return replace(OrderHost(name, phase, verb, ago(minutes)), **more)  # type: ignore[arg-type]


def order_of(
    order_id: str, asked: str, verb: Verb, minutes: float, hosts: Sequence[OrderHost], **more: object
) -> OrderCard:
    made = OrderCard(order_id, asked, verb, "jana", ago(minutes), counted(hosts), hosts=host_order(hosts))
    return replace(made, **more)  # type: ignore[arg-type]


def refused(name: str, *refusals: Refusal) -> OrderHost:
    text = "; ".join(item.text for item in refusals)
    return host_at(name, Phase.REFUSED, 2, code=refusals[0].code, text=text, refusals=refusals)


def running(done: int = 9) -> OrderCard:
    """An activate in its middle, one host of it reverted."""
    runs = "4593.2.5 runs, confirmed, as well as before"
    hosts = [
        host_at(f"edge-{number:02}", Phase.DONE, 30 - 2 * number, text=runs) for number in range(4, 4 + done)
    ]
    hosts += [
        host_at("edge-03", Phase.FAILED, 6, code="reverted", text=BACK, said=WROTE),
        host_at("edge-20", Phase.SENT, 1.2, until=ago(-8.8)),
        host_at("edge-21", Phase.INTENT, 0.1),
        host_at("edge-22", Phase.PLANNED, 31),
        host_at("edge-23", Phase.PLANNED, 31),
    ]
    followed = host_at(
        "edge-03",
        Phase.DONE,
        5,
        Verb.UPDATES,
        text="its updates are off (SERVER=disabled)",
        what="updates off",
    )
    more = {"is_carried_out": True, "reverted": 1, "at_once": 2, "stops": True, "consequences": (followed,)}
    return order_of("o-tjyne6v9zax", "activate 4593.2.5", Verb.ACTIVATE, 31, hosts, **more)


STAGED = order_of(
    "o-tjyn1aaaaaa",
    "stage 4593.2.5",
    Verb.STAGE,
    95,
    [
        host_at(
            f"edge-{number:02}", Phase.DONE, 80, Verb.STAGE, text="4593.2.5 is staged in B, it boots next"
        )
        for number in range(3, 17)
    ],
    ended_at=ago(79),
)
STOPPED = order_of(
    "o-tjxzzbbbbbb",
    "activate 4593.2.4",
    Verb.ACTIVATE,
    1600,
    [
        host_at("web-01", Phase.DONE, 1590, text="4593.2.4 runs, confirmed, as well as before"),
        host_at("web-02", Phase.UNKNOWN, 1580, text="no answer within 10 minutes; look at its console"),
        *(
            host_at(f"web-{n:02}", Phase.SKIPPED, 1580, text="stopped after web-02: no answer")
            for n in range(3, 7)
        ),
    ],
    ended_at=ago(1579),
    stopped="stopped after web-02: no answer",
)
REFUSED = order_of(
    "o-tjynfcccccc",
    "activate 4593.2.5",
    Verb.ACTIVATE,
    2,
    [
        *(refused(f"k8s-w{number:02}", WINDOW) for number in range(1, 7)),
        refused("db-01", HELD, WINDOW),
        refused("gpu-01", ARMED, WINDOW),
    ],
    ended_at=ago(2),
)
RUNNING = OrderBoard((running(), STAGED, STOPPED), NOW)
BOARDS = {
    "running": RUNNING,
    "refused": OrderBoard((REFUSED, STAGED), NOW),
    "empty": OrderBoard((), NOW),
}


LOOKS = (Look(), Look(ascii=True), Look(plain=True), Look(ascii=True, plain=True))
SGR = re.compile(r"\x1b\[[0-9;]*m")
SHUT = Refusal(
    "window-shut", "the window is shut; it opens Tue 02:00 UTC, or --force window", "", Force.WINDOW
)


def host(name: str, phase: Phase, verb: Verb = Verb.ACTIVATE, **more: object) -> OrderHost:
    return replace(OrderHost(name, phase, verb, NOW - timedelta(minutes=3)), **more)  # type: ignore[arg-type]


def card(*hosts: OrderHost, **more: object) -> OrderCard:
    made = OrderCard(
        "o-1", "activate 4593.2.5", Verb.ACTIVATE, "jo", NOW, counted(hosts), hosts=host_order(hosts)
    )
    return replace(made, **more)  # type: ignore[arg-type]


def board(*cards: OrderCard) -> OrderBoard:
    return OrderBoard(cards, NOW)


def drawn(lines: list[str]) -> list[str]:
    return [SGR.sub("", line) for line in lines]


def told(one: OrderHost, width: int = 120, look: Look = Look(plain=True)) -> list[str]:  # noqa: B008
    entry = Entry((one,))
    return [line.strip() for line in drawn(entry_lines(entry, board(), look, width, 8, Place()))]


texts = st.text(max_size=200)
refusals = st.builds(Refusal, st.just("code"), texts, st.just(""), st.sampled_from([None, *Force]))
hosts = st.builds(
    OrderHost,
    host=st.text(min_size=1, max_size=60),
    phase=st.sampled_from(Phase),
    verb=st.sampled_from(Verb),
    since=st.integers(-100, 10**8).map(lambda age_s: NOW - timedelta(seconds=age_s)),
    code=st.sampled_from([None, "reverted"]),
    text=texts,
    refusals=st.lists(refusals, max_size=3).map(tuple),
    said=st.lists(texts, max_size=3).map(tuple),
    until=st.sampled_from([None, NOW - timedelta(hours=1), NOW + timedelta(hours=1)]),
    what=st.sampled_from(["", "updates off"]),
)


@settings(max_examples=40)
@given(st.lists(hosts, min_size=1, max_size=4), st.integers(60, 220), st.sampled_from(LOOKS))
def test_no_line_is_wider_than_asked_for_and_heights_are_known(
    found: list[OrderHost], width: int, look: Look
) -> None:
    order = card(*found)
    seen, shown = entries(order), board(order)
    name = name_room(seen, width)
    lines = [*sentence_lines(shown, look, width), *about_lines(order, inverse(order), shown, look, width)]
    lines += card_lines(order, shown, look, width, Place(is_cursor=True, is_active=True))
    for entry in seen:
        its = entry_lines(entry, shown, look, width, name, Place())
        assert len(its) == entry_height(entry, shown, look, width, name)
        lines += its
    plain = drawn(lines)
    assert max(map(cells, plain)) <= width
    assert all(line.isprintable() for line in plain)
    assert all(line.isascii() for line in plain) or not look.ascii


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_is_a_glyph_a_word_and_a_tone(phase: Phase) -> None:
    for look in LOOKS:
        sign = host_sign(host("a", phase), look.pen)
        assert cells(sign.glyph) == 1
        assert sign.word
        assert sign.glyph.isascii() or not look.ascii


def test_signs_that_stand_for_trouble_are_told_apart_without_colour() -> None:
    pen = Look(ascii=True, plain=True).pen
    ends = (Phase.FAILED, Phase.UNKNOWN, Phase.REFUSED, Phase.DONE, Phase.SENT, Phase.SKIPPED, Phase.PLANNED)
    signs = [host_sign(host("a", phase), pen) for phase in ends]
    signs.append(host_sign(host("a", Phase.FAILED, code="reverted"), pen))
    assert len({sign.glyph for sign in signs}) == len(signs)
    assert len({sign.word for sign in signs}) == len(signs)


@pytest.mark.parametrize(
    ("found", "more", "word", "tone"),
    [
        ((Phase.SENT,), {}, "left", Tone.WARN),
        ((Phase.SENT, Phase.FAILED), {"is_carried_out": True}, "under way", Tone.MOVING),
        ((Phase.DONE, Phase.FAILED), {"ended_at": NOW, "reverted": 1}, "reverted", Tone.BAD),
        ((Phase.DONE, Phase.UNKNOWN), {"ended_at": NOW}, "unknown", Tone.UNKNOWN),
        ((Phase.DONE, Phase.REFUSED), {"ended_at": NOW}, "refused", Tone.WARN),
        ((Phase.DONE, Phase.ALREADY), {"ended_at": NOW}, "done", Tone.CALM),
    ],
)
def test_an_order_is_as_grave_as_the_gravest_of_its_hosts(
    found: tuple[Phase, ...], more: dict[str, object], word: str, tone: Tone
) -> None:
    order = card(*(host(f"h{number}", phase) for number, phase in enumerate(found)), **more)
    sign = card_sign(order, Look().pen)
    assert (sign.word, sign.tone) == (word, tone)


def test_a_refusal_tells_its_reason_and_how_it_becomes_possible() -> None:
    assert told(host("web-01", Phase.REFUSED, refusals=(SHUT,))) == [
        "▲ web-01    refused       3 min  the window is shut; it opens Tue 02:00 UTC",
        "can be forced: --force window --reason …",
    ]
    assert told(host("web-01", Phase.REFUSED, text="it is too large"))[0].endswith("it is too large")


def test_one_on_its_way_tells_until_when_it_is_awaited() -> None:
    sent = host("web-01", Phase.SENT, until=NOW + timedelta(minutes=7))
    assert told(sent) == ["↑ web-01    rebooting     3 min  awaited back until 03:19"]
    assert told(replace(sent, until=NOW - timedelta(minutes=7)))[0].endswith("what it shows is awaited")


def test_a_host_that_reverted_shows_what_it_wrote() -> None:
    lines = told(host("web-01", Phase.FAILED, code="reverted", text="it is back", said=("no disk",)))
    assert lines == ["◄ web-01    reverted      3 min  it is back", "it wrote: no disk"]


def test_many_alike_are_one_line_with_their_names() -> None:
    many = [host(f"k8s-{number:03}", Phase.REFUSED, refusals=(SHUT,)) for number in range(300)]
    for number, names in ((6, "k8s-[000-005]"), (300, "k8s-000 first")):
        (entry,) = entries(card(*many[:number]))
        first = drawn(entry_lines(entry, board(), Look(), 120, 9, Place()))[0]
        assert f"{number} hosts" in first
        assert first.endswith(names)


def test_the_head_of_an_order_says_who_when_and_how_it_goes_on() -> None:
    order = card(host("a", Phase.DONE), host("b", Phase.PLANNED), stops=True)
    lines = drawn(about_lines(order, inverse(order), board(order), Look(), 120))
    assert lines[0].startswith("activate 4593.2.5 on 2 hosts ─")
    assert lines[0].endswith(" o-1")
    assert lines[1:] == [
        "by jo, given 03:12, one host after another, the first that is not as ordered ends it",
        "nobody carries it out: `fleetctl run o-1` goes on with it",
        "way back: roll-back on 1 host, planned and asked for anew  i",
    ]


def test_without_an_order_it_says_how_one_is_given() -> None:
    text = " ".join(drawn(sentence_lines(board(), Look(), 200)))
    words = "Unlock (u), mark hosts (space), then s stage, a activate, b roll back, c channel."
    assert text.startswith(f"No order was given yet.  {words}")


def test_the_copy_has_all_of_it() -> None:
    order = card(host("a", Phase.DONE, text="runs"), host("b", Phase.REFUSED, refusals=(SHUT,)), ended_at=NOW)
    text = order_copy(order, board(order), Look())
    assert "\x1b" not in text
    assert text.splitlines()[-1].split() == ["●", "a", "done", "3", "min", "runs"]
    assert "can be forced: --force window" in text


# -- words


def test_the_sentence_says_what_is_under_way_and_whether_anything_is_needed() -> None:
    def said(*cards: OrderCard) -> tuple[str, str]:
        return sentence(OrderBoard(cards, NOW))

    well = orders.card(
        Verb.STAGE,
        orders.host("a", Phase.DONE),
        orders.host("b", Phase.SENT),
        is_carried_out=True,
        asked="stage 4593.2.5",
    )
    assert said() == ("No order was given yet.", "")
    assert said(well) == (
        "1 order is under way: stage 4593.2.5 on 2 hosts, 1 done.",
        "Nothing needs you now.",
    )
    assert said(well, well)[0] == "2 orders are under way on 4 hosts, 2 done."
    ill = replace(well, hosts=(orders.host("b", Phase.FAILED, code="reverted"),), stops=True)
    assert said(ill)[1] == "b reverted, nothing further is begun."
    assert said(replace(well, stopped="stopped after b: it is back"))[1] == "Stopped after b: it is back."
    assert said(replace(well, is_carried_out=False)) == (
        "Nobody carries out stage 4593.2.5 on 2 hosts.",
        "`fleetctl run o-1` goes on with it.",
    )
    ended = orders.card(Verb.STAGE, orders.host("a", Phase.DONE), ended_at=NOW)
    assert said(ended) == ("Nothing is under way.", "The last one, stage x on a: done.")
    assert title(ended) == "stage x on a"


def test_progress_tells_everybody_once() -> None:
    hosts = [
        *(orders.host(f"d{number}", Phase.DONE) for number in range(9)),
        orders.host("f", Phase.FAILED),
        orders.host("s", Phase.SENT),
        orders.host("i", Phase.INTENT),
        *(orders.host(f"p{number}", Phase.PLANNED) for number in range(2)),
    ]
    assert progress_words(orders.card(Verb.STAGE, *hosts)) == "9 of 14 done, 1 failed, 2 on their way, 2 wait"
    assert (
        progress_words(
            orders.card(Verb.STAGE, orders.host("a", Phase.REFUSED), orders.host("b", Phase.REFUSED))
        )
        == "all 2 refused"
    )


def test_how_a_refusal_becomes_possible() -> None:
    hold = Refusal("held", "held; unhold it, or --force hold", "", Force.HOLD)
    assert force_words((orders.SHUT,)) == "can be forced: --force window --reason …"
    assert (
        force_words((hold, orders.SHUT, orders.SHUT))
        == "can be forced: --force hold --force window --reason …"
    )
    assert force_words((orders.ARMED,)) == "cannot be forced"
    assert force_words((orders.ARMED, orders.SHUT)) == "cannot be forced while this holds: reset-armed"
    assert force_words(()) == ""
    assert reason_words(orders.SHUT) == "the window is shut; it opens later"
