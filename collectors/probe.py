"""The one probe: its text, and the frame in which a host answers.

One exec per host. The text is the same on all hosts; what differs comes as positional arguments (names
of units) and on stdin: a random mark, made anew for each run, that frames every section, so that no
output of a host's can open, close or fake one. Root sections come through one `sudo -n` of an argv that
never changes within a version; without sudo they are absent and all else is there.
The probe only reads: no `cgpt next`, no update_engine_client, no mount, and no network but this: where
locksmithd itself runs with a lock in etcd, locksmithctl asks that etcd, as the daemon does.

A frame: `MARK B name` line, content, `MARK E rc` line; the last line is `MARK Z count`. rc 124: timed out,
127: no such program; of a file 1: absent, 2: not readable. What stands outside of frames (banners, a
.bashrc's words) is no answer.
Sources: flatcar/update_engine@7382641, flatcar/seismograph@7ac56da, flatcar/locksmith@5b2275e,
systemd 252 to 262 for the tools asked; the layout of files: flatcar/scripts:build_library@ab6d76d.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

PROBE_VERSION = 1
LIMIT_BYTES = 256 * 1024
SECTION_LIMIT = 64 * 1024
LINE_LIMIT = 32 * 1024

UNITS = (
    "update-engine.service",
    "locksmithd.service",
    "systemd-sysext.service",
    "docker.service",
    "docker.socket",
    "containerd.service",
    "kubelet.service",
)
"""Units that every probe asks about; the fleet file's [health] adds its own."""

_FRAME = 'B() { printf "%s B %s\\n" "$M" "$1"; N=$((N+1)); }; E() { printf "\\n%s E %s\\n" "$M" "$1"; }'
_JOURNAL_LINES = (
    "Update Engine starting|Omaha Response manifest version|Update successfully applied|"
    "Update failed|error code|http response code|Rollback detected|InstallPlan: |"
    "Postinst command failed|Subprocess status: |Failed to copy kernel|Failed to download|curl: |"
    "No space left|Aborting the update|need to backoff|No update|There are no updates|"
    "Current group set|Next update check"
)
_JOURNAL_LENGTH = 2000
"""Journal lines looked through: about two days of checks that fail, five of such that find nothing."""
_DAEMON_SETTINGS = "|".join(
    f"LOCKSMITHD_{name}"
    for name in "ENDPOINT GROUP ETCD_CAFILE ETCD_CERTFILE ETCD_KEYFILE ETCD_USERNAME ETCD_PASSWORD".split()
)
"""Which etcd, and which group's lock; locksmithctl reads the same names with another prefix."""

# One line without newlines: a sudoers rule must be able to name it as a whole.
ROOT_TEXT = "; ".join(
    (
        "export LC_ALL=C TZ=UTC SYSTEMD_PAGER=cat; N=0; IFS= read -r -t 5 M || exit 65",
        _FRAME,
        "for s in A B; do B gpt_$s"
        "; timeout -k 1 4 cgpt show /dev/disk/by-partlabel/USR-$s </dev/null 2>&1; E $?; done",
        "B prefs; P=/var/lib/update_engine/prefs; [ -d $P ] && printf 'dir\\t1\\n'"
        "; for k in previous-version aleph-version update-state-next-operation payload-attempt-number"
        " backoff-expiry-time delta-update-failures"
        '; do [ -f $P/$k ] && { v=; IFS= read -r -d "" -n 80 v <$P/$k'
        '; printf "%s\\t%s\\n" $k "$v"; }; done; E 0',
        "B journal; mapfile -t J < <(timeout -k 1 6 journalctl -q -b -u update-engine.service -o short-unix"
        f" -n {_JOURNAL_LENGTH} </dev/null 2>/dev/null); wait $!; r=$?; w=part; o=0"
        f"; [ ${{#J[@]}} -lt {_JOURNAL_LENGTH} ]"
        ' && [[ ${J[0]} == *"]: Start"* || ${J[0]} == *" Engine starting"* ]] && w=whole'
        '; for l in "${J[@]}"; do [[ $l == *"Omaha Response manifest version"* ]] && o=1; done'
        '; printf "%s %s\\n" $w $o'
        f"; printf '%s\\n' \"${{J[@]}}\" | grep -aE '{_JOURNAL_LINES}' | tail -c 4096; E $r",
        "B boot; while read -r d m t o; do [ $m = /boot ] && [ $t != autofs ]"
        " && { if [ -e /boot/flatcar/first_boot ] || [ -e /boot/coreos/first_boot ]"
        "; then echo armed; else echo clear; fi; break; }; done </proc/self/mounts; E 0",
        "B containers; D=/run/containerd/io.containerd.runtime.v2.task"
        "; shopt -s nullglob; c=($D/*/*/); [ -d $D ] && echo ${#c[@]}; E 0",
        'B install; v=; IFS= read -r -d "" -n 4096 v </etc/.ignition-result.json 2>/dev/null'
        '; printf "%s" "$v"; E 0',
        # The kubelet keeps a directory NAMESPACE_POD_UID for each of its pods.
        "B pods; D=/var/log/pods; [ -d $D ] && echo dir; n=0; for d in $D/*_*_*; do p=${d##*/}; q=${p#*_}"
        "; q=${q%%_*}; [[ $q == *kured* || $q == *flatcar-linux-update* ]]"
        ' && [ $((n++)) -lt 20 ] && printf "%s\\n" "$p"; done; E 0',
        # Asked with the running daemon's own settings, or the lock of another group would pass for its own.
        "D=; p=; k=; for f in /run/update-engine/coordinator.conf /etc/flatcar/update.conf; do v="
        '; IFS= read -r -d "" -n 4096 v <$f; D=$D$v; done 2>/dev/null; [[ $D == *etcd-lock* ]]'
        " && p=$(timeout -k 1 2 systemctl show -p MainPID --value locksmithd.service </dev/null 2>/dev/null)"
        '; [ "${p:-0}" = 0 ] || while IFS= read -r -d "" v; do case ${v%%=*} in REBOOT_STRATEGY) k=${v#*=};;'
        f' {_DAEMON_SETTINGS}) export "LOCKSMITHCTL_${{v#LOCKSMITHD_}}";; esac'
        '; done 2>/dev/null </proc/$p/environ; if [ "$k" = etcd-lock ]; then B lock'
        "; timeout -k 1 5 locksmithctl status </dev/null 2>&1; E $?; fi",
        'printf "%s R %s\\n" "$M" "$N"',
    )
)

ROOT_ARGV = ("/bin/bash", "--norc", "--noprofile", "-c", ROOT_TEXT, f"fleetctl-probe-root/{PROBE_VERSION}")
"""What sudo is asked to run. A sudoers rule allows exactly this."""


def sudoers_rule(user: str) -> str:
    """A line for sudoers that allows this user the probe's root part and nothing else.

    sudo joins the arguments with blanks and compares by fnmatch, after its own escapes are gone, so a
    backslash is escaped twice: man 5 sudoers, "Other special characters" and "Wildcards".
    """
    words = (re.sub(r"[*?\[\]!^:,=#]", r"\\\g<0>", word.replace("\\", "\\" * 4)) for word in ROOT_ARGV[1:])
    return f"{user} ALL=(root) NOPASSWD: {ROOT_ARGV[0]} {' '.join(words)}\n"


_TEXT = f"""
export LC_ALL=C TZ=UTC SYSTEMD_COLORS=0 SYSTEMD_PAGER=cat SYSTEMD_BUS_TIMEOUT=4s
IFS= read -r -t 10 M || exit 65
N=0
{_FRAME}
T() {{ B "$1"; shift; timeout -k 1 4 "$@" 2>/dev/null </dev/null; E $?; }}
F() {{ B "$1"; v=; rc=1; [ -e "$2" ] && rc=2
  [ -r "$2" ] && {{ IFS= read -r -d "" -n 65536 v <"$2"; rc=0; printf "%s" "$v"; }}; E $rc; }}
R() {{ v=; [ -r "$2" ] && IFS= read -r v <"$2"; printf "%s\\t%s\\n" "$1" "$v"; }}
H() {{ if [ -e "$2" ]; then printf "%s\\t1\\n" "$1"; else printf "%s\\t0\\n" "$1"; fi; }}
shopt -s nullglob
printf "%s V {PROBE_VERSION} %s\\n" "$M" "$UID"
F os /usr/lib/os-release
F release /usr/share/flatcar/release
F image_conf /usr/share/flatcar/update.conf
F conf /etc/flatcar/update.conf
case $v in *://localhost*|*://127.*) T updater pgrep -f "[/]flatcar-update" ;; esac
F oem /oem/oem-release
F cmdline /proc/cmdline
B ids
R machine_id /etc/machine-id; R boot_id /proc/sys/kernel/random/boot_id; R uptime /proc/uptime
R kernel /proc/sys/kernel/osrelease; R hostname /proc/sys/kernel/hostname; printf "arch\\t%s\\n" "$HOSTTYPE"
[ -d /run/systemd/timesync ] && H time_synced /run/systemd/timesync/synchronized
E 0
B flags
H staged_marker /run/update_engine_autoupdate_completed; H reboot_required /run/reboot-required
H no_update /usr/.noupdate; H reset_armed /selective-os-reset
E 0
T usrdev rootdev -s /usr
T slotdevs readlink -f /dev/disk/by-partlabel/USR-A /dev/disk/by-partlabel/USR-B
B status
busctl --system --auto-start=no --timeout=3 --json=short call com.coreos.update1 /com/coreos/update1 \
com.coreos.update1.Manager GetStatus </dev/null 2>&1
E $?
F coordinator /run/update-engine/coordinator.conf
T manager systemctl show -p Version -p SystemState -p NFailedUnits
T units systemctl show -p Id,LoadState,ActiveState,SubState,UnitFileState,Result -- {" ".join(UNITS)} "$@"
T failed systemctl list-units --failed --output=json --no-pager
T sysext systemd-sysext status --json=short
T sysext_list systemd-sysext list --json=short
B links
L=(/etc/extensions/* /run/extensions/* /var/lib/extensions/*)
for l in "${{L[@]}}"; do if [ -e "$l" ]; then e=1; else e=0; fi; printf "%s %s\\0" "$e" "$l"; done
printf "=\\0"
[ ${{#L[@]}} -gt 0 ] && readlink -z -m -- "${{L[@]}}"
printf "=\\0"
for f in /sys/block/loop*/loop/backing_file; do v=; IFS= read -r v <"$f" && printf "%s\\0" "$v"; done
E 0
B meta
for f in /usr/lib/extension-release.d/extension-release.*; do v=
  IFS= read -r -d "" -n 4096 v <"$f"; printf "=%s\\0%s\\0" "${{f##*/extension-release.}}" "$v"; done
E 0
F enabled /etc/flatcar/enabled-sysext.conf
D=
while read -r d m t o; do [ "$m" = /boot ] && [ "$t" != autofs ] && D=/boot; done </proc/self/mounts
T df df -B1 --output=target,fstype,size,used,avail / /oem $D
command -v containerd >/dev/null && T containerd containerd --version
command -v docker >/dev/null && T docker docker --version
F order /run/fleetctl/order
if [ "$UID" = 0 ]; then S=; else S="sudo -n"; fi
timeout -k 1 20 $S {shlex.join(ROOT_ARGV)} <<<"$M" 2>/dev/null
r=$?
B sudo
E $r
printf "%s Z %s\\n" "$M" "$N"
"""

PROBE_TEXT = _TEXT.strip()


def probe_command(units: tuple[str, ...] = ()) -> str:
    """The command to exec on a host; `units` are asked about beside UNITS (names from the fleet file).

    A clean environment and a bash without start files, whatever the login shell is.
    """
    argv = (
        "/usr/bin/env",
        "-i",
        "PATH=/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/usr/local/sbin:/opt/bin",
        "/bin/bash",
        "--norc",
        "--noprofile",
        "-c",
        PROBE_TEXT,
        f"fleetctl-probe/{PROBE_VERSION}",
        *units,
    )
    return "exec " + shlex.join(argv)


@dataclass(frozen=True, slots=True)
class Section:
    """One framed answer: raw bytes as they came, and the exit status of what made them."""

    content: bytes
    exit_status: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A host's whole answer."""

    sections: dict[str, Section]
    version: int | None
    """Of the probe that answered; None where the opening line did not come."""
    uid: int | None
    complete: bool
    """The closing line came and counts the sections that opened."""
    privileged: bool
    """The root part's own closing line came."""


def read_frame(output: bytes, mark: str) -> Frame:
    """Cut an answer into its sections; total, never raises.

    A section that the next line with the mark does not close is no section. A name that comes twice keeps
    its first content. Bytes outside of sections are dropped.
    """
    pieces = (b"\n" + output).split(b"\n" + mark.encode("ascii") + b" ")
    sections: dict[str, Section] = {}
    version = uid = counted = counted_root = None
    open_name: str | None = None
    content = b""
    opened = closed = 0
    if b"\n" not in pieces[-1]:
        pieces[-1] = b""  # its line is cut; the newline of any other one stands before the next mark
    for piece in pieces[1:]:
        line, _, after = piece.partition(b"\n")
        kind, rest = line[:1], line[1:].removeprefix(b" ")
        if kind == b"E" and open_name is not None:
            status = _int(rest)
            sections.setdefault(
                open_name, Section(content[: SECTION_LIMIT + 1], 1 if status is None else status)
            )
            closed += 1
        open_name = None
        if kind == b"B":
            open_name, content = rest.decode("ascii", "replace"), after
            opened += 1
        elif kind == b"V":
            words = rest.split()
            if len(words) == 2:
                version, uid = _int(words[0]), _int(words[1])
        elif kind == b"R":
            counted_root = _int(rest)
        elif kind == b"Z":
            counted = _int(rest)
    complete = (
        version == PROBE_VERSION and counted is not None and opened == closed == counted + (counted_root or 0)
    )
    return Frame(sections, version, uid, complete, counted_root is not None)


def _int(text: bytes) -> int | None:
    return int(text) if text.isdigit() and len(text) < 10 else None
