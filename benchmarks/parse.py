"""`python -m benchmarks.parse`: from a host's bytes to what they mean, step by step, and where the time goes.

Cold: no parser remembers a text. Warm: as in the second half of a sweep, where hosts repeat each other.
"""

from __future__ import annotations

import cProfile
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from actions.brief import brief
from actions.situation import Wish, situation
from benchmarks.costs import median
from benchmarks.looks import SALT, STARTED_AT, quiet_hosts
from benchmarks.report import count, ended, parser, print_heading, print_profile, print_table
from collectors.classify import findings
from collectors.facts import HostFacts
from collectors.feed_file import load_feed
from collectors.memory import Memory, remember
from collectors.observation import Answer
from collectors.parse import answer as answer_module
from collectors.parse.answer import parse_answer
from collectors.probe import read_frame
from collectors.releases import Feed
from console.demo import answers

COLD_HOSTS = 300
WISH = Wish()


@dataclass(frozen=True, slots=True)
class Material:
    """Answers of hosts, and all that the steps need, made beforehand."""

    marks: list[str]
    """One for each answer, as in a sweep."""
    texts: list[bytes]
    facts: list[HostFacts]
    memories: list[Memory]
    feed: Feed


def material(hosts: int) -> Material:
    marks = [f"{number:032x}" for number in range(1 << 100, (1 << 100) + hosts)]
    texts = [
        answers.answer(host, mark, STARTED_AT) for host, mark in zip(quiet_hosts(hosts), marks, strict=True)
    ]
    facts = [parse_answer(text, mark, salt=SALT) for text, mark in zip(texts, marks, strict=True)]
    memories = [remember(None, item, STARTED_AT) for item in facts]
    return Material(marks, texts, facts, memories, load_feed(None))


def forget() -> None:
    """Empty what the parser remembers between hosts."""
    for value in vars(answer_module).values():
        clear = getattr(value, "cache_clear", None)
        if clear is not None:
            clear()


def parse(known: Material, number: int) -> HostFacts:
    return parse_answer(known.texts[number], known.marks[number], salt=SALT)


def meant(facts: HostFacts, memory: Memory, feed: Feed) -> None:
    situation(Answer("", STARTED_AT, facts, 0.0), memory, WISH, feed, STARTED_AT)


def us_each(step: Callable[[int], object], numbers: range, before: Callable[[], None] | None = None) -> float:
    """CPU microseconds of one call; `before` runs ahead of each and is not counted."""
    spent, clock = 0.0, time.process_time
    if before is None:
        started = clock()
        for number in numbers:
            step(number)
        return (clock() - started) / len(numbers) * 1e6
    for number in numbers:
        before()
        started = clock()
        step(number)
        spent += clock() - started
    return spent / len(numbers) * 1e6


def steps(known: Material) -> dict[str, Callable[[], float]]:
    """Name -> one measurement, in us a host."""
    every = range(len(known.texts))
    some = range(min(COLD_HOSTS, len(known.texts)))
    judged = [
        situation(Answer("", STARTED_AT, facts, 0.0), memory, WISH, known.feed, STARTED_AT)
        for facts, memory in zip(known.facts, known.memories, strict=True)
    ]
    return {
        "read_frame": lambda: us_each(lambda at: read_frame(known.texts[at], known.marks[at]), every),
        "parse_answer, cold (with read_frame)": lambda: us_each(
            lambda at: parse(known, at), some, before=forget
        ),
        "parse_answer, warm (with read_frame)": lambda: us_each(lambda at: parse(known, at), every),
        "remember": lambda: us_each(
            lambda at: remember(known.memories[at], known.facts[at], STARTED_AT), every
        ),
        "findings": lambda: us_each(lambda at: findings(known.facts[at]), every),
        "situation (with findings)": lambda: us_each(
            lambda at: meant(known.facts[at], known.memories[at], known.feed), every
        ),
        "brief": lambda: us_each(lambda at: brief(known.facts[at], known.memories[at], judged[at]), every),
    }


def profiled(known: Material) -> cProfile.Profile:
    """Parse and judge every host once more, caches warm, under a profiler that counts CPU time."""
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    for number, memory in enumerate(known.memories):
        facts = parse(known, number)
        where = situation(Answer("", STARTED_AT, facts, 0.0), memory, WISH, known.feed, STARTED_AT)
        brief(facts, memory, where)
    profile.disable()
    return profile


def benchmark(hosts: int, rounds: int) -> None:
    print_heading(f"parsing and judging {hosts} answers, {rounds} rounds")
    known = material(hosts)
    measured: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, measure in steps(known).items():
            measured.setdefault(name, []).append(measure())
    print(f"an answer has {median(len(text) for text in known.texts):.0f} bytes")
    print_table(["step", "us/host"], _rows(measured))
    profile = profiled(known)
    print(
        "warm parse, situation and brief, by function; a profiler makes small functions dearer than they are"
    )
    print_profile(profile, 15)
    print("the same by part of the project")
    print_profile(profile, 30, whole=True)


def _rows(measured: dict[str, list[float]]) -> Sequence[Sequence[str]]:
    return [[name, f"{median(values):.1f}"] for name, values in measured.items()]


def main() -> int:
    options = parser("From a host's bytes to what they mean, step by step, and where the time goes.")
    options.add_argument("--hosts", type=count, default=1000)
    options.add_argument("--rounds", type=count, default=5)
    given = options.parse_args()
    return ended(lambda: benchmark(given.hosts, given.rounds))


if __name__ == "__main__":
    sys.exit(main())
