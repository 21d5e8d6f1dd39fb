"""What ctrl+p finds: every action that can be asked for here, and every host by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.fuzzy import FuzzySearch
from textual.markup import escape

from console.visible import visible

Item = tuple[str, str, Callable[[], object]]
"""What it is called, what it does, and how it is done."""

MOST = 60
"""Hits shown; whoever wants another types more."""
FUZZY_MOST = 200
"""The first items, the actions, are also found by letters that stand apart; hosts by parts of names only."""


class HasItems(Protocol):
    """What the app gives."""

    def palette_items(self) -> Iterable[Item]: ...


class FleetProvider(Provider):
    """Names may come from anywhere: they are shown as they are, never as markup."""

    async def startup(self) -> None:
        self._items = list(cast(HasItems, self.app).palette_items())
        self._lower = [words.lower() for words, _, _ in self._items]

    async def discover(self) -> Hits:
        for words, help, done in self._items[:MOST]:
            yield DiscoveryHit(Content(visible(words)), done, text=words, help=escape(visible(help)))

    async def search(self, query: str) -> Hits:
        for score, offsets, (words, help, done) in self._found(query.lower().split()):
            yield Hit(score, self._marked(words, offsets), done, text=words, help=escape(visible(help)))

    def _found(self, parts: list[str]) -> list[tuple[float, tuple[int, ...], Item]]:
        """The best first. Whole parts are looked for in all, for that is quick even in 50,000 names."""
        if not parts:
            return []
        whole = [index for index, text in enumerate(self._lower) if all([part in text for part in parts])]
        whole.sort(key=lambda index: (self._lower[index].find(parts[0]), len(self._lower[index]), index))
        found = [
            (1.0 - place / (MOST + 1), _offsets(self._lower[index], parts), self._items[index])
            for place, index in enumerate(whole[:MOST])
        ]
        return found + self._apart(" ".join(parts), set(whole))[: MOST - len(found)]

    def _apart(self, query: str, known: set[int]) -> list[tuple[float, tuple[int, ...], Item]]:
        """Items that hold the letters one after the other, behind all others."""
        search = FuzzySearch()
        matches = [
            (*search.match(query, text), self._items[index])
            for index, text in enumerate(self._lower[:FUZZY_MOST])
            if index not in known
        ]
        matches.sort(key=lambda match: -match[0])
        found = [(offsets, item) for score, offsets, item in matches if score > 0]
        return [(0.01 / (place + 1), tuple(offsets), item) for place, (offsets, item) in enumerate(found)]

    def _marked(self, words: str, offsets: tuple[int, ...]) -> Content:
        content = Content(visible(words))
        if self.match_style is not None and content.plain == words:  # escapes would move what was found
            for offset in offsets:
                content = content.stylize(self.match_style, offset, offset + 1)
        return content


def _offsets(text: str, parts: list[str]) -> tuple[int, ...]:
    places = [(text.find(part), len(part)) for part in parts]
    return tuple(at + step for at, length in places for step in range(length))
