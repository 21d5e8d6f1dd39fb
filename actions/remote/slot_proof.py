"""Is the other slot whole? Its dm-verity tree against the root hash beside its kernel, then its own version.

The root hash stands in the kernel file as 64 hex digits, at 64 on amd64 and at 512 on arm64; the tree follows
the file system in the same partition, at the size that its superblock tells, else at 1065345024, where a
verity superblock must begin and must cover the whole file system. All of it is read in a private mount
namespace, where an automount cannot be woken, so /boot is woken before; nothing is written. What is not
proved is `unproved`, with a reason: never intact.
Sources: flatcar/scripts:build_library/{disk_util,build_image_util.sh}@ab6d76d; flatcar/bootengine@6c2fba4;
superblock: cryptsetup's docs/on-disk-format and lib/verity/verity.c.
stdin: the mark, then the slot's letter, a line each. stdout: one line, `MARK proof WORD [DETAIL]`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from actions.remote.shell import SETTING, STATE, login_command, one_line, root_argv
from actions.remote.words import SLOT, VERSION, checked
from collectors.parse.text import clean

VERIFY_TIMEOUT_S = 600
"""A slot of 1 GiB is read as a whole: a minute on a slow disk."""

_TEXT = (
    r"""
[ "${1-}" = private ] || {
ls /boot/. >/dev/null 2>&1
exec unshare -m --propagation private /bin/bash --norc --noprofile -c "$BASH_EXECUTION_STRING" "$0" private
}
"""
    + SETTING
    + r"""
IFS= read -r -t 10 -n 200 M && IFS= read -r -t 10 -n 10 S || exit 65
[[ $M =~ ^[A-Za-z0-9@-]{8,100}$ && $S =~ ^[AB]$ ]] || exit 65
"""
    + STATE
    + rf"""
say() {{
printf "%s proof %s\\n" "$M" "$*"
exit 0
}}
number() {{
od -An -v -t"u$3" -j "$2" -N "$3" "$1" 2>/dev/null | tr -d " \\n"
}}
letters() {{
od -An -v -tx1 -j "$2" -N "$3" "$1" 2>/dev/null | tr -d " \\n"
}}
kernel_hash() {{
local f h
for f in "/boot/flatcar/vmlinuz-${{1,}}" "/boot/coreos/vmlinuz-${{1,}}"; do
[ -f "$f" ] || continue
h=$(dd if="$f" bs=1 skip="$K" count=64 2>/dev/null | tr -d "\\0")
[[ $h =~ ^[0-9a-f]{{64}}$ ]] || return 1
printf %s "$h"
return 0
done
return 1
}}
file_system() {{
local n b
if [ "$(letters "$P" 65600 8)" = 5f42485266535f4d ]; then
T=btrfs
n=$(number "$P" 65648 8)
elif [ "$(letters "$P" 1080 2)" = 53ef ]; then
T=ext2
n=$(number "$P" 1028 4)
b=$(number "$P" 1048 4)
[[ $n =~ ^[0-9]{{1,10}}$ && $b =~ ^[0-6]$ ]] || return 1
n=$((n*(1024<<b)))
else
return 1
fi
for n in "$n" 1065345024; do
if [[ $n =~ ^[1-9][0-9]{{3,12}}$ ]] && [ $((n%4096)) = 0 ] &&
[ "$(letters "$P" "$n" 8)" = 7665726974790000 ]; then
Z=$n
return 0
fi
done
say unproved no-verity-superblock
}}
case $HOSTTYPE in
x86_64) K=64 ;;
aarch64) K=512 ;;
*) say unproved architecture ;;
esac
P=$(readlink -e "$L$S") || say unproved no-such-slot
R=$(running) || say unproved running-slot-unknown
[ "$R" != "$S" ] || say unproved slot-runs
H=$(kernel_hash "$S") || say unproved no-root-hash
C=$(</proc/cmdline)
if [[ " $C " =~ \ verity\.usrhash=([0-9a-f]{{64}})\  ]]; then
C=${{BASH_REMATCH[1]}}
else
C=$(kernel_hash "$R") || say unproved running-hash-unknown
fi
file_system || say unproved no-file-system
[ "$(number "$P" $((Z+8)) 4)" = 1 ] && [ "$(number "$P" $((Z+12)) 4)" = 1 ] || say unproved verity-version
[ "$(letters "$P" $((Z+32)) 7)" = 73686132353600 ] || say unproved verity-algorithm
[ "$(number "$P" $((Z+64)) 4)" = 4096 ] &&
[ "$(number "$P" $((Z+68)) 4)" = 4096 ] || say unproved verity-block-size
[ "$(number "$P" $((Z+72)) 8)" = $((Z/4096)) ] || say unproved verity-covers-other-size
command -v veritysetup >/dev/null || say unproved no-veritysetup
w=$(timeout -k 5 {VERIFY_TIMEOUT_S} veritysetup verify "$P" "$P" "$H" --hash-offset="$Z" </dev/null 2>&1)
r=$?
case $r in
0) ;;
1|2)
[[ $w =~ Verification\ failed\ at\ position\ ([0-9]+) ]] && say damaged "${{BASH_REMATCH[1]}}"
[[ $w == *"Verification of root hash failed."* ]] && say damaged root-hash
say unproved "veritysetup-$r"
;;
124|137) say unproved timed-out ;;
*) say unproved "veritysetup-$r" ;;
esac
[ "$H" != "$C" ] || say same-as-running
O=ro
[ $T != btrfs ] || O=ro,rescue=nologreplay
mount -t $T -o "$O" "$P" /mnt </dev/null >/dev/null 2>&1 || say unproved not-mountable
f=$(head -c 8192 /mnt/lib/os-release 2>/dev/null | tr -d "\\0")
umount /mnt >/dev/null 2>&1
[[ $f =~ (^|$'\n')ID=\"?flatcar\"?($'\n'|$) ]] || say unproved not-flatcar
[[ $f =~ (^|$'\n')VERSION_ID=\"?([0-9]{{1,5}}\.[0-9]{{1,4}}\.[0-9]{{1,4}})\"?($'\n'|$) ]] ||
say unproved no-version
say intact "${{BASH_REMATCH[2]}}"
"""
)

PROOF_ARGV = root_argv(one_line(_TEXT), "fleetctl-slot-proof/1")
"""What sudo is asked to run. A sudoers rule allows exactly this."""
PROOF_COMMAND = login_command(PROOF_ARGV)


def proof_stdin(mark: str, slot: str) -> str:
    """What PROOF_COMMAND reads; `mark` is made anew for each run. Raises Unsendable."""
    values = checked({"mark": mark, "slot": slot}, {"mark": "[A-Za-z0-9@-]{8,100}", "slot": SLOT})
    return "".join(f"{value}\n" for value in values.values())


class ProofResult(StrEnum):
    INTACT = "intact"
    DAMAGED = "damaged"
    SAME_AS_RUNNING = "same-as-running"
    """Whole, and a copy of what runs: an update began and did not end."""
    UNPROVED = "unproved"


@dataclass(frozen=True, slots=True)
class Proof:
    result: ProofResult
    version: str | None = None
    """Of an intact slot, from its own os-release."""
    reason: str = ""
    """Where it is damaged (a byte position, or `root-hash`), or why it is unproved."""

    @property
    def words(self) -> str:
        """`intact 4593.2.5`, `damaged`, `same-as-running`, `unproved: REASON`."""
        if self.result is ProofResult.INTACT:
            return f"{self.result} {self.version}"
        return f"{self.result}: {self.reason}" if self.reason else str(self.result)


def read_proof(output: bytes, mark: str, exit_status: int | None = 0) -> Proof:
    """The proof in a raw answer; total: anything but one line in its form is unproved."""
    text = output[:65536].decode("utf-8", "replace")
    lines = re.findall(rf"^{re.escape(mark)} proof (.*)$", text, flags=re.MULTILINE)
    if exit_status != 0:
        return Proof(ProofResult.UNPROVED, reason=f"ended with {exit_status}")
    if len(lines) != 1:
        return Proof(ProofResult.UNPROVED, reason="no answer" if not lines else "more than one answer")
    word, _, detail = lines[0].partition(" ")
    if word == ProofResult.INTACT and re.fullmatch(VERSION, detail, flags=re.ASCII):
        return Proof(ProofResult.INTACT, version=detail)
    if word == ProofResult.SAME_AS_RUNNING and not detail:
        return Proof(ProofResult.SAME_AS_RUNNING)
    if word in (ProofResult.DAMAGED, ProofResult.UNPROVED):
        return Proof(ProofResult(word), reason=clean(detail, 80))
    return Proof(ProofResult.UNPROVED, reason=f"not understood: {clean(lines[0])}")
