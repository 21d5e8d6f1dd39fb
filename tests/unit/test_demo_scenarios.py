"""How scenarios are named and counted."""

from __future__ import annotations

import pytest

from collectors.errors import ConfigError
from console.demo import scenes_host, scenes_owners, scenes_update
from console.demo.scenarios import SCENARIOS, SELECTABLE, parse_counts


def test_all_scenarios_are_known_by_their_own_names() -> None:
    assert set(SCENARIOS) == set(scenes_update.SCENES) | set(scenes_host.SCENES)
    assert set(SELECTABLE) - set(SCENARIOS) == {"hostile", *scenes_owners.SCENES}
    assert all(name == scenario.name for name, scenario in SELECTABLE.items())


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
