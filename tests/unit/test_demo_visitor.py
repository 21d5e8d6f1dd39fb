"""A live host's files as user core handles them: places, room, names, and what each refusal is."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.facts import DiskUse
from console.demo.live.kinds import Faults
from console.demo.live.visitor import Visitor
from tests.unit.live_lab import Lab, fresh

CORE = 500
FILE = "/var/tmp/payload.gz"


def visit(lab: Lab) -> Visitor:
    return lab.host.visitor(CORE)


def put(visitor: Visitor, path: str, content: bytes) -> None:
    visitor.open(path, writes=True, creates=True, truncates=True).write(0, content)


def get(visitor: Visitor, path: str) -> bytes:
    return visitor.open(path).read(0, 1 << 20)


def small_disk(free_bytes: int) -> Lab:
    state = fresh()
    use = state.disks["/"]
    full = DiskUse(use.fstype, use.size_bytes, use.size_bytes - free_bytes, free_bytes)
    return Lab(replace(state, disks={**state.disks, "/": full}))


def test_what_is_written_is_there_for_programs_too() -> None:
    lab = Lab()
    put(visit(lab), FILE, b"new release")
    assert get(visit(lab), FILE) == b"new release"
    assert lab.run("cat", FILE, uid=CORE).stdout == b"new release"
    assert visit(lab).names("/var/tmp") == ["payload.gz"]
    entry = visit(lab).stat("/var/tmp/payload.gz")
    assert (entry.is_folder, entry.size_bytes, entry.uid) == (False, 11, CORE)
    visit(lab).remove(FILE)
    assert visit(lab).names("/var/tmp") == []


def test_what_is_written_takes_room_and_gives_it_back() -> None:
    lab = Lab()

    def free() -> int:
        return lab.host.state.disks["/"].available_bytes

    before = free()
    put(visit(lab), FILE, b"x" * 1000)
    assert free() == before - 1000
    put(visit(lab), FILE, b"x" * 300)
    assert free() == before - 300
    put(visit(lab), "/tmp/in-memory", b"x" * 5000)
    assert free() == before - 300
    lab.host.faults = Faults(disk_full=True)
    assert free() == 0
    visit(lab).remove(FILE)
    assert free() == 0
    lab.host.faults = Faults()
    assert free() == before


def test_a_disk_that_gets_full_leaves_a_part_of_the_file() -> None:
    lab = small_disk(1000)
    file = visit(lab).open(FILE, writes=True, creates=True)
    file.write(0, b"a" * 700)
    with pytest.raises(OSError, match="No space left") as caught:
        file.write(700, b"b" * 700)
    assert caught.value.errno == errno.ENOSPC
    assert get(visit(lab), FILE) == b"a" * 700 + b"b" * 300
    assert lab.host.state.disks["/"].available_bytes == 0
    put(visit(lab), "/tmp/elsewhere", b"c" * 5000)


def test_a_disk_that_a_fault_fills_in_mid_write_keeps_what_came_before() -> None:
    lab = Lab()
    file = visit(lab).open(FILE, writes=True, creates=True)
    file.write(0, b"a" * 10)
    lab.host.faults = Faults(disk_full=True)
    with pytest.raises(OSError, match="No space left"):
        file.write(10, b"b")
    file.write(0, b"z")
    assert get(visit(lab), FILE) == b"z" + b"a" * 9
    with pytest.raises(OSError, match="No space left"):
        visit(lab).make_folder("/var/tmp/more")


@pytest.mark.parametrize(
    ("act", "number"),
    [
        (lambda it: put(it, "/etc/flatcar/update.conf", b"x"), errno.EACCES),
        (lambda it: put(it, "/opt/x.raw", b"x"), errno.EACCES),
        (lambda it: put(it, "/usr/bin/x", b"x"), errno.EACCES),
        (lambda it: put(it, "/var/tmp/../../etc/x", b"x"), errno.EACCES),
        (lambda it: put(it, "/var/tmpfile", b"x"), errno.EACCES),
        (lambda it: put(it, "/home/other/x", b"x"), errno.EACCES),
        (lambda it: it.remove("/etc/machine-id"), errno.EACCES),
        (lambda it: it.rename("/etc/machine-id", "/var/tmp/x"), errno.EACCES),
        (lambda it: it.rename("/var/tmp/there", "/etc/x"), errno.EACCES),
        (lambda it: it.make_folder("/opt/x"), errno.EACCES),
        (lambda it: it.remove_folder("/home/core"), errno.EACCES),
        (lambda it: get(it, "/var/lib/update_engine/prefs/previous-version"), errno.EACCES),
        (lambda it: get(it, "/var/tmp/none"), errno.ENOENT),
        (lambda it: get(it, "/etc/shadow"), errno.ENOENT),
        (lambda it: put(it, "/var/tmp/none/x", b"x"), errno.ENOENT),
        (lambda it: put(it, "/var/tmp/there/x", b"x"), errno.ENOTDIR),
        (lambda it: it.open("/var/tmp/none", writes=True), errno.ENOENT),
        (lambda it: it.open("/var/tmp/there", writes=True, creates=True, only_new=True), errno.EEXIST),
        (lambda it: it.open("/var/tmp"), errno.EISDIR),
        (lambda it: it.open("/var/tmp/there").write(0, b"x"), errno.EBADF),
        (lambda it: it.rename("/var/tmp/there", "/var/tmp/too"), errno.EEXIST),
        (lambda it: it.rename("/var/tmp/there", "/tmp/there"), errno.EXDEV),
        (lambda it: it.make_folder("/var/tmp"), errno.EEXIST),
        (lambda it: it.remove_folder("/var/tmp/there"), errno.ENOTDIR),
        (lambda it: it.names("/var/tmp/none"), errno.ENOENT),
        (lambda it: it.names("/var/lib/update_engine/prefs"), errno.EACCES),
        (lambda it: it.stat("a\0b"), errno.EINVAL),
    ],
)
def test_each_refusal_is_the_system_s_own(act: Callable[[Visitor], object], number: int) -> None:
    lab = Lab()
    lab.update()
    put(visit(lab), "/var/tmp/there", b"x")
    put(visit(lab), "/var/tmp/too", b"y")
    with pytest.raises(OSError, match=r"\[Errno") as caught:
        act(visit(lab))
    assert caught.value.errno == number
    assert get(visit(lab), "/var/tmp/there") == b"x"


def test_folders_and_names_are_made_changed_and_removed() -> None:
    visitor = visit(Lab())
    visitor.make_folder("in")
    put(visitor, "in/a", b"1")
    put(visitor, "in/b", b"2")
    assert visitor.names("/home/core") == ["in"]
    with pytest.raises(OSError, match="not empty"):
        visitor.remove_folder("in")
    visitor.rename("in/a", "in/b", replaces=True)
    assert (visitor.names("in"), get(visitor, "in/b")) == (["b"], b"1")
    visitor.remove("in/b")
    visitor.remove_folder("in")
    assert visitor.names(".") == []


def test_a_rename_needs_no_room() -> None:
    lab = Lab()
    put(visit(lab), FILE, b"x" * 10)
    lab.host.faults = Faults(disk_full=True)
    visit(lab).rename(FILE, "/var/tmp/other")
    assert get(visit(lab), "/var/tmp/other") == b"x" * 10


def test_a_boot_empties_tmp_and_nothing_else() -> None:
    lab = Lab()
    for folder in ("/tmp", "/var/tmp"):
        put(visit(lab), f"{folder}/x", b"x")
        visit(lab).make_folder(f"{folder}/folder")
    lab.reboot()
    assert visit(lab).names("/tmp") == []
    assert visit(lab).names("/var/tmp") == ["folder", "x"]


def test_a_file_that_lost_its_name_takes_no_room() -> None:
    lab = Lab()
    before = lab.host.state.disks["/"].available_bytes
    file = visit(lab).open(FILE, writes=True, creates=True)
    file.write(0, b"x" * 100)
    visit(lab).remove(FILE)
    file.write(100, b"y" * 100)
    assert (file.size_bytes, file.read(99, 2)) == (200, b"xy")
    assert lab.host.state.disks["/"].available_bytes == before


@given(
    path=st.text("./abc", max_size=20),
    root=st.sampled_from(["", "/", "/var/tmp/", "/home/core/../"]),
)
def test_a_path_never_keeps_anything_relative(path: str, root: str) -> None:
    whole = visit(Lab()).whole(root + path)
    assert whole.startswith("/")
    assert not whole.startswith("//")
    assert not {"..", "."} & set(whole.split("/"))


@given(
    writes=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 1500)), max_size=8),
    free=st.integers(0, 3000),
)
def test_room_and_size_always_add_up(writes: list[tuple[int, int]], free: int) -> None:
    lab = small_disk(free)
    file = visit(lab).open(FILE, writes=True, creates=True)
    for offset, size in writes:
        before = file.size_bytes
        try:
            file.write(offset, b"x" * size)
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 - most writes do not fail
            assert offset + size > before
        assert file.size_bytes + lab.host.state.disks["/"].available_bytes == free
        assert lab.host.state.disks["/"].available_bytes >= 0
