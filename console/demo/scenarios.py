"""Every scenario by name, in the order in which the demo uses them, and how `--scenario` is read."""

from __future__ import annotations

from collections.abc import Iterable

from collectors.errors import ConfigError
from collectors.fleet_keys import did_you_mean
from console.demo import scenes_host, scenes_owners, scenes_update
from console.demo.hostile import HOSTILE
from console.demo.scene import Scenario

_ORDER = """
current never_updated just_updated rollback_available rollback_unsafe extension_staged extension_will_drop
behind staging staged staged_reset staged_restarted staged_window staged_will_reboot staged_not_next
rollback_armed unconfirmed reverted_fresh reverted_settled failed reset_armed first_boot_armed residue
updates_disabled masked engine_down drift extension_incompatible extension_broken degraded held pxe
not_flatcar truncated status_null unprivileged silent auth_refused key_unknown key_changed
""".split()

SCENARIOS: dict[str, Scenario] = {
    name: {**scenes_update.SCENES, **scenes_host.SCENES}[name] for name in _ORDER
}
"""The scenarios of a demo, by name."""

SELECTABLE: dict[str, Scenario] = {**SCENARIOS, **scenes_owners.SCENES, HOSTILE.name: HOSTILE}
"""Those that `--scenario` may name: some more, which a demo has only when asked for."""


def parse_counts(texts: Iterable[str]) -> dict[str, int]:
    """Scenario name -> how many hosts, from `NAME=COUNT` or `NAME` (one); named twice, they add up.

    Raises ConfigError for an unknown name or a count that is none.
    """
    counts: dict[str, int] = {}
    for text in texts:
        name, equals, number = text.partition("=")
        if name not in SELECTABLE:
            near = did_you_mean(name, SELECTABLE) or f"; known: {', '.join(SELECTABLE)}"
            raise ConfigError("--scenario", text, f"unknown scenario{near}")
        if equals and not (number.isascii() and number.isdigit() and len(number) < 7 and int(number) > 0):
            raise ConfigError("--scenario", text, "needs a count of 1 or more, like behind=3")
        counts[name] = counts.get(name, 0) + (int(number) if equals else 1)
    return counts
