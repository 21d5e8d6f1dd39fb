"""Whether an extension fits an OS, row by row of systemd's rule, and what the next OS will drop."""

from __future__ import annotations

import pytest

from collectors.compat import drops_on_update, fits
from collectors.facts import ExtensionMeta
from collectors.parse.sysext_links import kind_of

STABLE = "4593.2.5"


def fit(meta: ExtensionMeta, version_id: str | None = STABLE, level: str | None = "1.0") -> str | None:
    """The reason why `meta` does not fit an amd64 Flatcar host; None if it does."""
    return fits(meta, "flatcar", ("coreos",), version_id, level, "amd64").reason


@pytest.mark.parametrize(
    "meta",
    [
        ExtensionMeta(id="_any"),
        ExtensionMeta(id="_any", version_id="1", sysext_level="9"),
        ExtensionMeta(id="_any", architecture="_any"),
        ExtensionMeta(id="_any", architecture="x86-64"),
        ExtensionMeta(id="flatcar", version_id=STABLE),
        ExtensionMeta(id="coreos", version_id=STABLE),
        ExtensionMeta(id="flatcar", sysext_level="1.0"),
        ExtensionMeta(id="flatcar", sysext_level="1.0", version_id="4081.2.0"),
    ],
)
def test_fits(meta: ExtensionMeta) -> None:
    assert fit(meta) is None


@pytest.mark.parametrize(
    ("meta", "reason"),
    [
        (ExtensionMeta(), "its extension-release has no ID"),
        (ExtensionMeta(id="fedora", version_id=STABLE), "made for the OS fedora, the host is flatcar"),
        (ExtensionMeta(id="flatcar", version_id="4593.2.4"), "made for 4593.2.4, the host runs 4593.2.5"),
        (
            ExtensionMeta(id="flatcar", sysext_level="2.0", version_id=STABLE),
            "made for SYSEXT_LEVEL 2.0, the host has 1.0",
        ),
        (
            ExtensionMeta(id="flatcar"),
            "its extension-release has neither VERSION_ID nor a SYSEXT_LEVEL that the host has too",
        ),
        (ExtensionMeta(id="_any", architecture="arm64"), "made for arm64, the host is x86-64"),
        (
            ExtensionMeta(id="_any", architecture="amd64"),
            "its ARCHITECTURE is spelled amd64; systemd knows it as x86-64",
        ),
    ],
)
def test_does_not_fit_and_says_why(meta: ExtensionMeta, reason: str) -> None:
    assert fit(meta) == reason


def test_level_counts_only_if_both_sides_have_one() -> None:
    both = ExtensionMeta(id="flatcar", sysext_level="1.0", version_id="4081.2.0")
    assert fit(both) is None
    assert fit(both, level=None) == "made for 4081.2.0, the host runs 4593.2.5"


def test_rolling_host_matches_by_id_alone() -> None:
    assert fit(ExtensionMeta(id="flatcar", version_id="1"), version_id=None, level=None) is None


@pytest.mark.parametrize("arch", ["amd64", "x86_64", "x86-64"])
def test_spellings_of_the_hosts_architecture(arch: str) -> None:
    assert fits(ExtensionMeta(id="_any", architecture="x86-64"), "flatcar", (), STABLE, None, arch)
    assert not fits(ExtensionMeta(id="_any", architecture="arm64"), "flatcar", (), STABLE, None, arch)


@pytest.mark.parametrize("arch", ["arm64", "aarch64"])
def test_spellings_of_the_other_architecture(arch: str) -> None:
    assert fits(ExtensionMeta(id="_any", architecture="arm64"), "flatcar", (), STABLE, None, arch)


def test_unknown_architecture_is_not_held_against_an_extension() -> None:
    assert fits(ExtensionMeta(id="_any", architecture="arm64"), "flatcar", (), STABLE, None, None)


@pytest.mark.parametrize(
    ("name", "image", "meta", "drops"),
    [
        ("mine", "/opt/extensions/mine.raw", ExtensionMeta("flatcar", STABLE), True),
        ("mine", "/var/lib/extensions/mine", ExtensionMeta("coreos", STABLE), True),
        ("mine", "/opt/extensions/mine.raw", ExtensionMeta("flatcar", STABLE, "1.0"), False),
        ("mine", "/opt/extensions/mine.raw", ExtensionMeta("_any", STABLE), False),
        ("mine", "/opt/extensions/mine.raw", ExtensionMeta("flatcar", None, "1.0"), False),
        (
            "docker-flatcar",
            "/usr/share/flatcar/sysext/docker-flatcar.raw",
            ExtensionMeta("flatcar", STABLE),
            False,
        ),
        ("oem-qemu", "/oem/sysext/oem-qemu-4593.2.5.raw", ExtensionMeta("flatcar", STABLE), False),
        ("flatcar-zfs", "/srv/flatcar-zfs.raw", ExtensionMeta("flatcar", STABLE), False),
    ],
)
def test_drops_on_update(name: str, image: str, meta: ExtensionMeta, drops: bool) -> None:
    assert drops_on_update(name, kind_of(name, image), meta) is drops
