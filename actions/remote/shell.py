"""Shell as it is sent: one line, run as root through an argv that never changes; functions that verbs share.

Texts are written below in many lines and sent as one, so that a sudoers rule can name them. No path in
them is named `/flatcar-update`: the running one is looked for by that word in command lines.
Sources: flatcar/seismograph:src/cgpt@7ac56da (a partition's device as argument, so also on NVMe);
flatcar/update_engine:src/update_engine@7382641 (D-Bus, and how update.conf is read); GRUB's choice:
flatcar/scripts:sdk_container/src/third_party/coreos-overlay/sys-boot/grub@ab6d76d; systemd 252 to 260.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

_OPEN = re.compile(r"(?:(?:^|\s)(?:then|do|else|in)|[{(]|&&|\|\||[^|]\||;;|;|^[^()\s]+\))$")
"""Lines after which a command may begin without a semicolon; the last are the patterns of a `case`."""

_WRAP = 'if [ "$UID" = 0 ]; then exec "$@"; else exec sudo -n "$@"; fi'


def one_line(text: str) -> str:
    """A script without its newlines; a backslash continues a line. No here-documents, no comments."""
    lines = [line.strip() for line in re.sub(r" *\\\n", " ", text).split("\n")]
    joined = ""
    for line in lines:
        if not line:
            continue
        joined += line + (" " if _OPEN.search(line) else "; ")
    return joined.removesuffix("; ").strip()


def root_argv(text: str, name: str) -> tuple[str, ...]:
    """What sudo is asked to run: a script of `one_line`, under a name that carries its version."""
    return ("/bin/bash", "--norc", "--noprofile", "-c", text, name)


def login_command(argv: Sequence[str]) -> str:
    """The command line to exec as the login user: the argv as root, by sudo where the user is not root."""
    wrapped = (
        *("/usr/bin/env", "-i", "PATH=/usr/bin:/bin:/usr/sbin:/sbin"),
        *("/bin/bash", "--norc", "--noprofile", "-c", _WRAP, "fleetctl-as-root/1"),
    )
    return "exec " + shlex.join((*wrapped, *argv))


def sudoers_line(user: str, argv: Sequence[str]) -> str:
    """A line for sudoers that allows this user this argv and nothing else.

    sudo joins the arguments with blanks and compares by fnmatch, after its own escapes are gone, so a
    backslash is escaped twice: man 5 sudoers, "Other special characters" and "Wildcards". It takes a run of
    blanks for one, unless all but the first are escaped.
    """
    words = (re.sub(r"[*?\[\]!^:,=#]|(?<= ) ", r"\\\g<0>", word.replace("\\", "\\" * 4)) for word in argv[1:])
    return f"{user} ALL=(root) NOPASSWD: {argv[0]} {' '.join(words)}\n"


SETTING = """
export LC_ALL=C TZ=UTC PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_COLORS=0 SYSTEMD_PAGER=cat
export SYSTEMD_BUS_TIMEOUT=20s
umask 022
D=/run/fleetctl
CONF=/etc/flatcar/update.conf
L=/dev/disk/by-partlabel/USR-
"""

STATE = r"""
flags() {
local t
t=$(timeout -k 1 10 cgpt show "$L$1" </dev/null 2>/dev/null) || return 1
[[ $t =~ priority=[0-9]+\ tries=[0-9]+\ successful=[01] ]] || return 1
printf %s "${BASH_REMATCH[0]}"
}
running() {
local d s
d=$(timeout -k 1 10 rootdev -s /usr </dev/null 2>/dev/null) && d=$(readlink -e -- "$d") || return 1
for s in A B; do
if [ "$(readlink -e "$L$s")" = "$d" ]; then
printf %s "$s"
return 0
fi
done
return 1
}
next() {
local s f best= most=0
for s in A B; do
f=$(flags "$s") || return 1
[[ $f =~ priority=([0-9]+)\ tries=([0-9]+)\ successful=([01]) ]] || return 1
if (( BASH_REMATCH[1] > most && BASH_REMATCH[2] + BASH_REMATCH[3] > 0 )); then
best=$s
most=${BASH_REMATCH[1]}
fi
done
[ -n "$best" ] && printf %s "$best"
}
engine() {
busctl --system --auto-start=no --timeout=3 call com.coreos.update1 \
/com/coreos/update1 com.coreos.update1.Manager "$1" </dev/null 2>/dev/null
}
operation() {
local t
t=$(engine GetStatus) || return 1
[[ $t =~ \"(UPDATE_STATUS_[A-Z_]+)\" ]] || return 1
printf %s "${BASH_REMATCH[1]}"
}
digest() {
local f s
f=$(readlink -f "$CONF") && [ -e "$f" ] || {
printf absent
return 0
}
s=$(sha256sum <"$f") || return 1
printf %s "${s%% *}"
}
set_flags() {
[[ $2 =~ priority=([0-9]+)\ tries=([0-9]+)\ successful=([01]) ]] || return 1
timeout -k 1 20 cgpt add -P"${BASH_REMATCH[1]}" -T"${BASH_REMATCH[2]}" -S"${BASH_REMATCH[3]}" \
"$L$1" </dev/null || return 1
[ "$(flags "$1")" = "$2" ]
}
first() {
timeout -k 1 20 cgpt prioritize "$L$1" </dev/null && [ "$(next)" = "$1" ]
}
updater() {
pgrep -f "[/]flatcar-update" >/dev/null
}
"""
"""What the host is: slot flags, running and next slot, operation, update.conf; and setting flags, proved."""

CONFIG = r"""
rewrite() {
local f t n= e
f=$(readlink -f "$CONF") && [ -d "${f%/*}" ] || return 1
t=${f%/*}/.${f##*/}.fleetctl-$O
rm -f -- "$t"
if [ -e "$f" ]; then
cp -a -- "$f" "$t" || return 1
n=$(grep -an "^$1=" "$f" | tail -n 1)
n=${n%%:*}
else
[ "$2" != - ] || return 0
(set -C; : >"$t") && chmod 644 "$t" || return 1
fi
if [ "$2" = - ]; then
[ -n "$n" ] || {
rm -f -- "$t"
return 0
}
sed "\\,^$1=$3,d" "$f" >"$t"
elif [ -n "$n" ]; then
e=$(printf %s "$2" | sed "s/[&|]/\\\\&/g")
sed -e "$n!{/^$1=/d;}" -e "${n}s|^.*\$|$1=$e|" "$f" >"$t"
else
{
[ ! -s "$f" ] || [ "$(tail -c 1 "$f" | od -An -tx1)" = " 0a" ] || printf "\\n"
printf "%s=%s\\n" "$1" "$2"
} >>"$t"
fi
[ $? = 0 ] && sync "$t" && mv -T -f -- "$t" "$f" && sync "${f%/*}"
}
"""
"""`rewrite KEY VALUE`, `rewrite KEY - [VALUES]`: set a key, or drop its lines whose rest fits an expression.

update_engine reads `KEY=VALUE` at a line's begin, the last one wins: that one is replaced where it stands and
the others of the key go. Any other byte, mode and owner stay; a link is followed. Written beside the file
and renamed over it.
"""

KEEPING = r"""
keep_conf() {
local f
rm -f "$D/$O.conf" "$D/$O.absent" "$D/$O.link"
f=$(readlink -f "$CONF") || f=
if [ -L "$CONF" ]; then
readlink "$CONF" >"$D/$O.link" || return 1
fi
if [ -n "$f" ] && [ -e "$f" ]; then
cp -a -- "$f" "$D/$O.new" && mv -T -f "$D/$O.new" "$D/$O.conf"
else
: >"$D/$O.absent"
fi
}
restore_conf() {
local f t
if [ -e "$D/$O.link" ] && [ "$(readlink "$CONF")" != "$(cat "$D/$O.link")" ]; then
ln -sfT -- "$(cat "$D/$O.link")" "$CONF" || return 1
fi
if [ -e "$D/$O.conf" ]; then
f=$(readlink -f "$CONF") || return 1
t=${f%/*}/.${f##*/}.fleetctl-$O
rm -f -- "$t"
cp -a -- "$D/$O.conf" "$t" && sync "$t" && mv -T -f -- "$t" "$f" && sync "${f%/*}" || return 1
elif [ -e "$D/$O.absent" ]; then
f=$(readlink -f "$CONF") && rm -f -- "$f" "${f%/*}/.${f##*/}.fleetctl-$O"
fi
rm -f "$D/$O.conf" "$D/$O.absent" "$D/$O.link"
}
"""
"""Keep update.conf, bytes, mode and owner, and put it back; the second is harmless where nothing is kept."""

LOCKSMITHD = r"""
U=locksmithd.service
foreign() {
[ -e "/etc/systemd/system/$U" ] || [ -L "/etc/systemd/system/$U" ]
}
masked_for_good() {
[ "$(readlink -f "/etc/systemd/system/$U")" = /dev/null ]
}
hold() {
if foreign; then
masked_for_good && tell locksmithd masked by others
return
fi
if [ "$(readlink "/run/systemd/system/$U")" = /dev/null ]; then
tell locksmithd held already
return 0
fi
printf "order=%s\\nwas=%s\\n" "$O" "$(systemctl is-active "$U")" >"$D/locksmithd.new" &&
mv -T -f "$D/locksmithd.new" "$D/locksmithd" || return 1
systemctl mask --runtime --now "$U" </dev/null && ! systemctl is-active --quiet "$U" || return 1
[ "$(readlink "/run/systemd/system/$U")" = /dev/null ] && tell locksmithd held
}
give_back() {
local r n w=
if [ ! -e "$D/locksmithd" ]; then
tell locksmithd not ours
return 0
fi
r=$(running) && n=$(next) && [ "$r" = "$n" ] || {
tell locksmithd stays held: next boot
return 1
}
[ "$(operation)" = UPDATE_STATUS_IDLE ] || {
tell locksmithd stays held: operation
return 1
}
[ "$1" = - ] || [ "$(digest)" = "$1" ] || {
tell locksmithd stays held: updates not as found
return 1
}
w=$(sed -n "s/^was=//p" "$D/locksmithd")
systemctl unmask --runtime "$U" </dev/null || return 1
rm -f "$D/locksmithd"
case $w in
active|activating|reloading)
systemctl start "$U" </dev/null || return 1
tell locksmithd given back, started
;;
*)
tell locksmithd given back, was not running
;;
esac
}
"""
"""Hold locksmithd with a mask that the next boot drops; give it back only where it cannot reboot the host.

The note /run/fleetctl/locksmithd says that the mask is ours. `give_back DIGEST`: next boot is the running
slot, operation IDLE, update.conf as found (`-`: whatever it is); else the mask stays.
"""
