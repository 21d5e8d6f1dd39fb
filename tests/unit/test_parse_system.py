"""Parsers of what the system says, against recordings of real hosts and the forms of the probe.

Each recording carries an expectation written by hand; it is a subset of what the parser must get.
"""

from __future__ import annotations

import pytest

from collectors.errors import ParseError
from collectors.facts import Cmdline, DiskUse, ExtensionMeta, OsRelease, Release, SlotName
from collectors.parse.boot import parse_cmdline
from collectors.parse.df import parse_df, parse_df_human
from collectors.parse.os_release import (
    parse_extension_release,
    parse_os_release,
    parse_release,
    unquote,
    version_key,
)
from tests.recorded.system.adapters import (
    ADAPTERS,
    FOLDER,
    KEYS_LEFT_OUT,
    KINDS_LEFT_OUT,
    Recording,
    differences,
    recordings,
)

RECORDINGS = recordings()
STABLE = "4593.2.5"


def by_file(recording: Recording) -> str:
    return recording.file


# -- recordings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("recording", RECORDINGS, ids=by_file)
def test_recording_gives_what_is_expected(recording: Recording) -> None:
    assert differences(recording) == []


@pytest.mark.parametrize(
    "recording", [found for found in RECORDINGS if found.kind != "update-conf"], ids=by_file
)
def test_recording_with_carriage_returns_gives_the_same(recording: Recording) -> None:
    text = recording.text.replace("\n", "\r\n")
    carriage = Recording(recording.file, recording.kind, text, recording.body_from_line, recording.expected)
    assert differences(carriage) == []


def test_every_recording_is_described_and_covered() -> None:
    files = {path.name for path in FOLDER.glob("*.txt")}
    assert files == {recording.file for recording in RECORDINGS}
    assert {recording.kind for recording in RECORDINGS} <= set(ADAPTERS)


def test_what_is_left_out_is_not_covered_too() -> None:
    assert not set(KINDS_LEFT_OUT) & set(ADAPTERS)
    expected = {(recording.kind, key) for recording in RECORDINGS for key in recording.expected}
    assert set(KEYS_LEFT_OUT) <= expected


# -- os-release and its kin ------------------------------------------------------------------------


def test_quoted_os_release_of_4694_and_later() -> None:
    text = (
        'NAME="Flatcar Container Linux by Kinvolk"\nID="flatcar"\nID_LIKE="coreos"\nVERSION="4757.1.0"\n'
        'VERSION_ID="4757.1.0"\nBUILD_ID="2026-08-10-1200"\nSYSEXT_LEVEL="1.0"\n'
        'PRETTY_NAME="Flatcar Container Linux by Kinvolk 4757.1.0"\nFLATCAR_BOARD="arm64-usr"\n'
    )
    assert parse_os_release(text) == OsRelease(
        id="flatcar",
        id_like=("coreos",),
        name="Flatcar Container Linux by Kinvolk",
        version="4757.1.0",
        version_id="4757.1.0",
        build_id="2026-08-10-1200",
        pretty_name="Flatcar Container Linux by Kinvolk 4757.1.0",
        board="arm64-usr",
        sysext_level="1.0",
    )


@pytest.mark.parametrize(
    ("pretty_name", "codename"),
    [
        ("Flatcar Container Linux by Kinvolk 4593.2.5 (Oklo)", "Oklo"),
        ("Flatcar Container Linux by Kinvolk 3510.3.5 (LTS 2023)", "LTS 2023"),
        ("Flatcar Container Linux by Kinvolk 4757.1.0", None),
        ("Debian GNU/Linux 12 (bookworm)", "bookworm"),
        ("Some Linux (unofficial) 12", None),
        ("Some Linux 12 (2023)", None),
    ],
)
def test_codename_stands_in_parentheses_after_the_version(pretty_name: str, codename: str | None) -> None:
    assert parse_os_release(f'ID=x\nPRETTY_NAME="{pretty_name}"\n').codename == codename


@pytest.mark.parametrize("tail", ["VERSION_ID=4593.2", 'VERSION_ID="4593.2', "VERSION_ID='4593.2.5"])
def test_value_that_may_be_cut_is_not_known(tail: str) -> None:
    assert parse_os_release(f"ID=flatcar\n{tail}") == OsRelease(id="flatcar")


def test_closed_quote_ends_a_value_without_a_newline() -> None:
    assert parse_os_release('ID=flatcar\nVERSION_ID="4593.2.5"').version_id == STABLE


def test_cut_value_hides_an_earlier_one() -> None:
    assert parse_os_release('ID=flatcar\nVERSION_ID=1.2.3\nVERSION_ID="4593').version_id is None


@pytest.mark.parametrize("text", ["", "\n", "cat: /etc/os-release: No such file or directory\n", "NAME=x\n"])
def test_os_release_without_id_and_version_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match="neither ID nor VERSION_ID"):
        parse_os_release(text)


def test_control_characters_do_not_reach_facts() -> None:
    assert parse_os_release("ID=flatcar\nNAME='a\x1b[31mb\u202e'\n").name == "a\ufffd[31mb\ufffd"


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        ('"two words"', "two words"),
        ("'single $x'", "single $x"),
        (r'"a \"b\" \$c \\ \n"', r'a "b" $c \ \n'),
        (r"a\ b", "a b"),
        ("one'two'\"three\"", "onetwothree"),
        ("value # comment", "value"),
        ('"open', None),
        ("end\\", None),
    ],
)
def test_unquote_reads_one_shell_word(raw: str, value: str | None) -> None:
    assert unquote(raw) == value


def test_release_of_flatcar_and_of_coreos() -> None:
    text = (
        "FLATCAR_RELEASE_VERSION=4593.2.5\nFLATCAR_RELEASE_BOARD=amd64-usr\nFLATCAR_RELEASE_APPID={e9-57}\n"
    )
    wanted = Release(STABLE, "amd64-usr", "{e9-57}")
    assert parse_release(text) == wanted
    assert parse_release(text.replace("FLATCAR", "COREOS")) == wanted
    with pytest.raises(ParseError, match="FLATCAR_RELEASE_"):
        parse_release("VERSION=1\n")


def test_extension_release_needs_no_final_newline() -> None:
    assert parse_extension_release("ID=_any\nARCHITECTURE=x86-64") == ExtensionMeta(
        id="_any", architecture="x86-64"
    )
    official = "ID='flatcar'\nVERSION_ID='4593.2.5'\nARCHITECTURE='x86-64'\nSYSEXT_VERSION_ID=1.2\n"
    assert parse_extension_release(official) == ExtensionMeta("flatcar", STABLE, None, "x86-64", "1.2")
    assert parse_extension_release("") == ExtensionMeta()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("4593.2.5", (4593, 2, 5)),
        ("4799.0.0+nightly-20260821-2100", (4799, 0, 0)),
        ("10000.0.0", (10000, 0, 0)),
        ("4593.2", None),
        ("4593.2.5.1", None),
        ("v4593.2.5", None),
        ("4593.2.5\n", None),
        ("123456.0.0", None),
        ("٤٥٩٣.2.5", None),
        ("", None),
    ],
)
def test_version_key(text: str, key: tuple[int, int, int] | None) -> None:
    assert version_key(text) == key


# -- kernel command line ---------------------------------------------------------------------------

UUID_A = "7130c94a-213a-4e5a-8e26-6cce9662f132"
UUID_OTHER = "00000000-0000-0000-0000-000000000001"
UUID_B = "e03dd35c-7c2d-4a47-b3fe-27f15780a57c"
HASH = "1839da262570fb938be558d95db7fc3d986a0d71e1b77d40d35a3e2a1bac7dcd"


@pytest.mark.parametrize(
    ("text", "cmdline"),
    [
        (f"mount.usr=/dev/mapper/usr verity.usr=PARTUUID={UUID_B}\n", Cmdline(SlotName.B, UUID_B)),
        (f"mount.usr=PARTUUID={UUID_A.upper()} quiet\n", Cmdline(SlotName.A, UUID_A)),
        ("mount.usr=PARTLABEL=USR-B\n", Cmdline(SlotName.B)),
        ('"usr=PARTLABEL=USR-A"\n', Cmdline(SlotName.A)),
        ('verity.usr="PARTLABEL=USR-A" x="a b usr=PARTLABEL=USR-B"\n', Cmdline(SlotName.A)),
        ("usr=LABEL=USR-B\n", Cmdline()),
        (f"usr=PARTUUID={UUID_OTHER}\n", Cmdline(None, UUID_OTHER)),
        (f"usrhash={HASH} flatcar.oem.id=a flatcar.oem.id=ami\n", Cmdline(usrhash=HASH, oem_id="ami")),
        ("coreos.first_boot=detected coreos.oem.id=ec2\n", Cmdline(oem_id="ec2", first_boot=True)),
        ("flatcar.first_boot console=tty0\n", Cmdline(first_boot=True)),
        ("flatcar.first_boot=0 console=tty0\n", Cmdline()),
        ("[    0.0] Kernel command line: BOOT_IMAGE=/b\n[ 0.1] x=y\n", Cmdline(boot_image="/b")),
        ("Nov 23 04:52:01 h kernel: Command line: usr=PARTLABEL=USR-A\n", Cmdline(SlotName.A)),
    ],
)
def test_cmdline(text: str, cmdline: Cmdline) -> None:
    assert parse_cmdline(text) == cmdline


@pytest.mark.parametrize("text", ["", "\n", "quiet\n", "cat: /proc/cmdline: Permission denied\n"])
def test_cmdline_without_arguments_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match="kernel command line"):
        parse_cmdline(text)


def test_last_word_without_a_newline_counts_only_if_it_is_whole() -> None:
    assert parse_cmdline(f"a=b verity.usr=PARTUUID={UUID_A}").usr_partuuid == UUID_A
    assert parse_cmdline(f"a=b verity.usr=PARTUUID={UUID_A[:-1]}").usr_partuuid is None
    assert parse_cmdline("a=b flatcar.oem.id=am").oem_id is None


# -- disks -----------------------------------------------------------------------------------------


def test_df_of_the_probe() -> None:
    assert parse_df(
        "Mounted on   Type   1B-blocks       Used      Avail\n"
        "/            ext4 13958643712 1503238553 11811160064\n"
        "/mnt/a  b    xfs            1          1           0\n"
        "/proc        proc           -          -           -\n"
        "/oem         btrfs"
    ) == {
        "/": DiskUse("ext4", 13958643712, 1503238553, 11811160064),
        "/mnt/a b": DiskUse("xfs", 1, 1, 0),
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "df: /oem: No such file or directory\n",
        "Mounted on Type 1K-blocks Used Avail\n/ ext4 1 1 1\n",
        "Mounted on Type 1B-blocks Used Avail\n/ ext4 many 1 1\n",
        "Mounted on Type 1B-blocks Used Avail\next4 1 1 1\n",
        "Mounted on Type 1B-blocks Used Avail\n/ ext4 -5 1 1\n",
    ],
)
def test_df_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match="df: "):
        parse_df(text)


def test_df_human_with_types_and_blanks_in_a_mount_point() -> None:
    rows = parse_df_human(
        "Filesystem     Type   Size  Used Avail Use% Mounted on\n"
        "/dev/sda9      ext4    13G  1.4G   11G  12% /\n"
        "none           tmpfs     0     0     0    - /mnt/a b\n"
    )
    assert (rows["/"].source, rows["/"].used_percent) == ("/dev/sda9", 12)
    assert rows["/mnt/a b"].used_percent is None
    with pytest.raises(ParseError, match="no table"):
        parse_df_human("df: nothing\n")
