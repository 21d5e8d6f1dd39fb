"""A made-up host for the real texts of orders: a root of its own, stand-ins for the system's programs.

The texts run unchanged under the real bash in a chroot within user and mount namespaces: no root needed.
Programs that would change a machine stand in /usr/sbin, which comes first in the texts' PATH, and keep
their state in /state; /state/calls has every call, a call that matches a pattern in /state/fail fails.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from actions.orders import Guard
from actions.remote.order import Order, Reply, VerbText, read_reply

BOOT_ID = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
IDLE, NEED_REBOOT = "UPDATE_STATUS_IDLE", "UPDATE_STATUS_UPDATED_NEED_REBOOT"
STAGED = {"gpt_A": "1 0 1", "gpt_B": "2 1 0", "op": NEED_REBOOT}
MASK = "/run/systemd/system/locksmithd.service"
ODD = b'# ours\r\nREBOOT_STRATEGY = off\n  GROUP=x\nSERVER="http://own/v1/update/"\r\nGROUP=beta'

_START = """#!/bin/bash
n=${0##*/}
echo "$n $*" >>/state/calls
while read -r p; do [[ "$n $*" == $p ]] && exit 1; done </state/fail
"""

_CGPT = """
dev=${!#}; s=${dev##*USR-}; o=$([ $s = A ] && echo B || echo A)
read -r p t k </state/gpt_$s; read -r q u j </state/gpt_$o
case $1 in
show) printf ' 4096 10 3  Label: "USR-%s"\\n Attr: priority=%s tries=%s successful=%s\\n' $s $p $t $k ;;
add) for w in "${@:2}"; do case $w in -P*) p=${w#-P} ;; -T*) t=${w#-T} ;; -S*) k=${w#-S} ;; esac; done
  echo "$p $t $k" >/state/gpt_$s ;;
prioritize) if [ $q -gt 0 ]; then echo "2 $t $k" >/state/gpt_$s; echo "1 $u $j" >/state/gpt_$o
  else echo "1 $t $k" >/state/gpt_$s; fi ;;
*) exit 1 ;;
esac
"""

_BUSCTL = """
case $* in
*ListInhibitors) cat /state/inhibitors ;;
*GetStatus) [ -s /state/op ] || exit 1; echo "xdssx 0 0 \\"$(cat /state/op)\\" \\"0.0.0\\" 0" ;;
*ResetStatus) echo UPDATE_STATUS_IDLE >/state/op ;;
*AttemptUpdate) cat /state/after_attempt >/state/op ;;
*) exit 1 ;;
esac
"""

_SYSTEMCTL = """
u=${!#}; a=/state/units/$u
case $* in
*LoadState*) [ -e $a ] && echo loaded || echo not-found ;;
*SubState*) [ -e $a ] && cat $a || echo dead ;;
is-active*) [ -e $a ] && w=active || w=inactive; [ "$2" = --quiet ] || echo $w; [ $w = active ] || exit 3 ;;
is-enabled*) for d in etc run; do [ "$(readlink /$d/systemd/system/$u)" = /dev/null ] && {
  [ $d = etc ] && echo masked || echo masked-runtime; exit 1; }; done; echo enabled ;;
mask*) d=/etc; [[ $* == *--runtime* ]] && d=/run; mkdir -p $d/systemd/system
  ln -sfn /dev/null $d/systemd/system/$u; [[ $* != *--now* ]] || rm -f $a ;;
unmask*) d=/etc; [[ $* == *--runtime* ]] && d=/run; rm -f $d/systemd/system/$u ;;
start*) echo running >$a ;;
stop*) rm -f $a ;;
reboot) ;;
*) exit 1 ;;
esac
"""

_SYSTEMD_RUN = """
post=; u=
while [[ ${1-} == -* ]]; do
  case $1 in --unit=*) u=${1#--unit=}.service ;; -p) shift; [[ $1 == ExecStopPost=* ]] && post=${1#*=} ;; esac
  shift
done
[ ! -e /state/units/$u ] || { echo "Unit $u was already loaded or has a fragment file." >&2; exit 1; }
echo running >/state/units/$u
"$@" </dev/null >>/state/unit.log 2>&1; r=$?
echo $r >/state/status
[ $r != 0 ] || { echo exited >/state/units/$u; exit 0; }
$post >>/state/unit.log 2>&1
echo failed >/state/units/$u
"""

_FLATCAR_UPDATE = """
c=/etc/flatcar/update.conf
rm -f /etc/systemd/system/update-engine.service
touch $c; sed -i /SERVER=/d $c; echo SERVER=http://localhost:9090/update >>$c
cp $c /state/conf_used
case $(cat /state/updater) in
stage) sed -i /SERVER=/d $c; echo '2 1 0' >/state/gpt_B; echo UPDATE_STATUS_UPDATED_NEED_REBOOT >/state/op ;;
fail) echo "Error: update failed" >/dev/stderr; exit 22 ;;
kill-group) cp /state/after_attempt /state/op; kill 0 ;;
kill) kill -9 $PPID; exec /usr/bin/sleep 0.05 ;;
esac
"""

PROGRAMS = {
    "cgpt": _CGPT,
    "busctl": _BUSCTL,
    "systemctl": _SYSTEMCTL,
    "systemd-run": _SYSTEMD_RUN,
    "flatcar-update": _FLATCAR_UPDATE,
    "rootdev": "echo /dev/$(cat /state/usrdev)",
    "pgrep": "[ -e /state/updater_runs ]",
    "sleep": ":",
    "sync": ":",
    "journalctl": "[[ $* == *'-b -1'* ]] && f=/state/journal_before || f=/state/journal; cat $f",
    "mount": "mkdir -p /mnt/lib; cp /state/os-release /mnt/lib/",
    "umount": ":",
    "veritysetup": 'exec /real-sbin/veritysetup "$@"',
}

_ENTER = """set -e
R=$1
mount --bind $R $R
mount --rbind /usr $R/usr
mount --bind /usr/sbin $R/real-sbin
mount --bind $R/sbin-stand-ins $R/usr/sbin
mount --rbind /proc $R/proc
for d in null zero random urandom; do mount --bind /dev/$d $R/dev/$d; done
cd $R; shift
exec chroot $R /bin/bash --norc --noprofile -c "$@"
"""


def is_unfit() -> bool:
    """Whether this machine has no user namespaces, or more than one /usr; in CI that fails instead."""
    done = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
    return "CI" not in os.environ and (done.returncode != 0 or not Path("/bin").is_symlink())


@dataclass(frozen=True, slots=True)
class RemoteHost:
    """Slot A runs, confirmed; B is older and good; nothing is staged."""

    root: Path

    @classmethod
    def make(cls, root: Path) -> RemoteHost:
        folders = "usr proc real-sbin sbin-stand-ins tmp mnt run var/tmp boot/flatcar state/units"
        more = "etc/flatcar etc/systemd/system dev/disk/by-partlabel"
        for folder in f"{folders} {more}".split():
            (root / folder).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (root / name).symlink_to(f"usr/{name}")
        for name in ("null", "zero", "random", "urandom", "vda3", "vda4"):
            (root / "dev" / name).touch()
        for name, number in (("A", 3), ("B", 4)):
            (root / f"dev/disk/by-partlabel/USR-{name}").symlink_to(f"/dev/vda{number}")
        (root / "dev/fd").symlink_to("/proc/self/fd")
        (root / "dev/stderr").symlink_to("/proc/self/fd/2")
        for name, text in PROGRAMS.items():
            program = root / "sbin-stand-ins" / name
            program.write_text(_START + text)
            program.chmod(0o755)
        host = cls(root)
        (root / "state/units/locksmithd.service").write_text("running\n")
        (root / "state/units/update-engine.service").write_text("running\n")
        for name, value in {
            "gpt_A": "2 0 1", "gpt_B": "1 0 1", "op": IDLE, "usrdev": "vda3", "updater": "stage", "fail": "",
            "calls": "", "unit.log": "", "after_attempt": IDLE,
            "inhibitors": '{"type":"a(ssssuu)","data":[[["sleep","a","b","delay",0,1]]]}',
        }.items():  # fmt: skip
            host.set(name, value)
        host.conf(b"GROUP=stable\n")
        return host

    def set(self, name: str, value: str) -> None:
        (self.root / "state" / name).write_text(f"{value}\n" if value else "")

    def get(self, name: str) -> str:
        path = self.root / "state" / name
        return path.read_text().strip() if path.exists() else ""

    def conf(self, content: bytes | None) -> None:
        path = self.root / "etc/flatcar/update.conf"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)

    def conf_now(self) -> bytes | None:
        path = self.root / "etc/flatcar/update.conf"
        return path.read_bytes() if path.exists() else None

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    @property
    def calls(self) -> list[str]:
        return self.get("calls").splitlines()

    @property
    def told(self) -> str:
        return self.get("unit.log")

    def guard(self) -> Guard:
        content = self.conf_now()
        slots = [
            "priority={} tries={} successful={}".format(*self.get(f"gpt_{name}").split()) for name in "AB"
        ]
        digest = "absent" if content is None else sha256(content).hexdigest()
        return Guard(BOOT_ID, slots[0], slots[1], self.get("op") or "-", digest)

    def bash(self, text: str, name: str, stdin: str) -> subprocess.CompletedProcess[bytes]:
        """A root text, as sudo would run it."""
        return subprocess.run(
            ["unshare", "-rm", "--propagation", "private", "bash", "-c", _ENTER, "-", self.root, text, name],
            input=stdin.encode(),
            capture_output=True,
            check=False,
            timeout=15,
            start_new_session=True,  # a stand-in may kill its process group
        )

    def send(
        self, verb: VerbText, values: dict[str, str], *, order: str = "o-aaaaaa", guard: Guard | None = None,
        follows: str | None = None, lasts_s: int = 600,
    ) -> tuple[Reply, int]:  # fmt: skip
        """Send an order; the unit's work is done when this returns."""
        asked = Order(order, "Jo Doe", "ops/1", lasts_s, follows)
        done = self.bash(verb.text, verb.argv[-1], verb.stdin(asked, guard or self.guard(), values))
        assert not done.stderr, done.stderr
        return read_reply(done.stdout, order), done.returncode


def state(host: RemoteHost, values: dict[str, str]) -> None:
    for name, value in values.items():
        host.set(name, value)
