"""What is merged, linked and known of extensions: the forms of the probe and of systemd 252 to 262."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from collectors.errors import ParseError
from collectors.facts import ExtensionMeta
from collectors.parse.sysext import parse_sysext_list, parse_sysext_status
from collectors.parse.sysext_links import (
    image_version,
    kind_of,
    parse_links,
    parse_ls_extensions,
    parse_meta,
)

STABLE = "4593.2.5"


MERGED_JSON = (
    '[{"hierarchy":"/opt","extensions":"none","since":null},'
    '{"hierarchy":"/usr","extensions":["docker-flatcar","kubernetes"],"since":1795409739989722}]\n'
)
MERGED_TABLE = (
    "HIERARCHY EXTENSIONS     SINCE\n"
    "/opt      none           -\n"
    "/usr      docker-flatcar Mon 2026-11-23 04:55:39 UTC\n"
    "          kubernetes     \n"
)


@pytest.mark.parametrize("text", [MERGED_JSON, MERGED_TABLE, MERGED_TABLE.replace("none", "-   ")])
def test_sysext_status(text: str) -> None:
    found = parse_sysext_status(text).hierarchies
    assert found["/opt"].extensions == ()
    assert found["/opt"].since is None
    assert found["/usr"].extensions == ("docker-flatcar", "kubernetes")
    since = found["/usr"].since
    assert since is not None
    assert since.replace(microsecond=0) == datetime(2026, 11, 23, 4, 55, 39, tzinfo=UTC)


def test_sysext_status_json_262() -> None:
    found = parse_sysext_status('[{"hierarchy":"/usr","extensions":[],"since":null,"new_key":{}}]')
    assert found.hierarchies["/usr"].extensions == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[",
        MERGED_JSON[:-20],
        '[{"hierarchy":"/usr"}]',
        '[{"hierarchy":"usr","extensions":[]}]',
        '[{"hierarchy":"/usr","extensions":"some"}]',
        '[{"hierarchy":"/usr","extensions":[1]}]',
        "[" * 100_000,
        "HIERARCHY EXTENSIONS SINCE\n",
        "HIERARCHY EXTENSIONS SINCE\n/usr x y\n",
    ],
)
def test_sysext_status_in_no_known_form(text: str) -> None:
    with pytest.raises(ParseError):
        parse_sysext_status(text)


def test_sysext_list_json_and_names_with_escapes() -> None:
    listed = parse_sysext_list(
        '[{"name":"k\\u001b[0m","type":"raw","path":"/etc/extensions/k.raw","time":1795409578545900}]'
    )
    assert [(entry.name, entry.path) for entry in listed] == [("k\\x1b[0m", "/etc/extensions/k.raw")]
    assert listed[0].time == datetime(2026, 11, 23, 4, 52, 58, 545900, tzinfo=UTC)


def test_sysext_list_table_with_blanks_in_a_name_and_a_prompt_below() -> None:
    listed = parse_sysext_list(
        "core@h ~ $ systemd-sysext list\n"
        "NAME  TYPE      PATH                     TIME\n"
        "a b   directory /var/lib/extensions/a b  Tue 2026-11-24 10:22:11 UTC\n"
        "stale raw       /etc/extensions/stale.raw -\n"
        "core@h ~ $ ls /etc\n"
    )
    assert [(entry.name, entry.type, entry.path) for entry in listed] == [
        ("a b", "directory", "/var/lib/extensions/a b"),
        ("stale", "raw", "/etc/extensions/stale.raw"),
    ]


def test_unknown_image_type_is_named() -> None:
    with pytest.raises(ParseError, match=r"x: unknown type 'tape'"):
        parse_sysext_list('[{"name":"x","type":"tape","path":"/x"}]')


def links(*entries: str, targets: tuple[str, ...], loops: tuple[str, ...] = ()) -> bytes:
    return "".join(f"{part}\0" for part in (*entries, "=", *targets, "=", *loops)).encode()


def test_links() -> None:
    found, loops = parse_links(
        links(
            "1 /etc/extensions/kubernetes.raw",
            "0 /etc/extensions/gone.raw",
            "1 /etc/extensions/docker-flatcar.raw",
            "1 /var/lib/extensions/kubernetes.raw",
            "1 /var/lib/extensions/odd\n\x1bname",
            targets=(
                "/opt/extensions/kubernetes/kubernetes-v1.33.1-x86-64.raw",
                "/opt/extensions/gone.raw",
                "/dev/null",
                "/var/lib/extensions/kubernetes.raw",
                "/var/lib/extensions/odd\n\x1bname",
            ),
            loops=("/opt/extensions/kubernetes/kubernetes-v1.32.2-x86-64.raw",),
        )
    )
    assert list(found) == ["kubernetes", "gone", "docker-flatcar", "odd\\n\\x1bname"]
    assert found["kubernetes"].target == "/opt/extensions/kubernetes/kubernetes-v1.33.1-x86-64.raw"
    assert not found["gone"].exists
    assert found["docker-flatcar"].is_mask
    assert loops == ("/opt/extensions/kubernetes/kubernetes-v1.32.2-x86-64.raw",)


def test_links_of_a_host_without_any() -> None:
    assert parse_links(b"=\0=\0") == ({}, ())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"=\0",
        b"1 /etc/extensions/a.raw\0=\0=\0",
        b"=\0/opt/a.raw\0=\0",
        b"2 /etc/extensions/a.raw\0=\0/a\0=\0",
        b"1 a.raw\0=\0/a\0=\0",
        b"1 /etc/extensions/a.raw\0=\0/a\0=\0/loop",
    ],
)
def test_links_that_do_not_add_up_are_refused(content: bytes) -> None:
    with pytest.raises(ParseError, match="links: "):
        parse_links(content)


def test_meta() -> None:
    content = b"=a\0ID=_any\n\0=b\0\0=c\xff\0ID='flatcar'\nVERSION_ID='4593.2.5'\0"
    assert parse_meta(content) == {
        "a": ExtensionMeta(id="_any"),
        "b": ExtensionMeta(),
        "c\\xff": ExtensionMeta(id="flatcar", version_id=STABLE),
    }
    assert parse_meta(b"") == {}


def test_meta_of_a_file_longer_than_the_probe_reads_has_no_cut_value() -> None:
    text = b"ID=flatcar\n#" + b"x" * 4060 + b"\nVERSION_ID=4593.2.5555555555555555"
    assert parse_meta(b"=a\0" + text[:4096] + b"\0") == {"a": ExtensionMeta(id="flatcar")}


@pytest.mark.parametrize("content", [b"=a\0", b"a\0ID=x\0", b"=a\0ID=x", b"ID=x\0=a\0"])
def test_meta_that_does_not_alternate_is_refused(content: bytes) -> None:
    with pytest.raises(ParseError, match="meta: "):
        parse_meta(content)


def test_ls_with_full_paths_files_and_folders() -> None:
    found = parse_ls_extensions(
        "total 8\n"
        "drwxr-xr-x. 2 root root 4096 Feb  6 14:42 .\n"
        "drwxr-xr-x. 9 root root 4.0K Feb  6  2024 ..\n"
        "lrwxrwxrwx. 1 root root 9 2024-02-06 14:42 docker-flatcar.raw -> /dev/null\n"
        "lrwxrwxrwx. 1 root root 9 Feb  6 14:42 /etc/extensions/k.raw -> ../../opt/extensions/k/k-v1.raw\n"
        "-rw-r--r--. 1 core core 1,024 Feb  6 14:42 own name.raw\n"
    )
    assert found == {
        "docker-flatcar": "/dev/null",
        "k": "../../opt/extensions/k/k-v1.raw",
        "own name": None,
    }
    assert parse_ls_extensions("total 0\n") == {}
    with pytest.raises(ParseError, match="no entry"):
        parse_ls_extensions("ls: cannot access '/etc/extensions': No such file or directory\n")


@pytest.mark.parametrize(
    ("name", "image", "kind", "version"),
    [
        ("docker-flatcar", "/usr/share/flatcar/sysext/docker-flatcar.raw", "builtin", None),
        ("docker-flatcar", "/dev/null", "builtin", None),
        ("oem-qemu", "/oem/sysext/oem-qemu-3760.2.0.raw", "oem", "3760.2.0"),
        ("oem-qemu", "/oem/sysext/oem-qemu-initial.raw", "oem", None),
        ("oem-azure", "", "oem", None),
        ("flatcar-podman", "/etc/flatcar/sysext/flatcar-podman-4593.2.5.raw", "official", STABLE),
        ("flatcar-zfs", "/etc/extensions/flatcar-zfs.raw", "official", None),
        (
            "kubernetes",
            "/opt/extensions/kubernetes/kubernetes-v1.32.2-x86-64.raw",
            "independent",
            "v1.32.2",
        ),
        ("k3s", "/opt/extensions/k3s/k3s-v1.31.5+k3s1-arm64.raw", "independent", "v1.31.5+k3s1"),
        ("docker-24.0.9-x86-64", "/etc/extensions/docker-24.0.9-x86-64.raw", "other", "24.0.9"),
        ("mine", "/var/lib/extensions/mine", "other", None),
    ],
)
def test_kind_and_version_of_an_extension(name: str, image: str, kind: str, version: str | None) -> None:
    assert kind_of(name, image) == kind
    assert image_version(name, image) == version
