"""What `channel` and `updates` write into update.conf, as a shell function that other verbs use too."""

from __future__ import annotations

from actions.remote.shell import CONFIG

UPDATES = (
    CONFIG
    + r"""
updates() {
case $1 in
off|managed) rewrite SERVER disabled ;;
on)
if [ "$2" = - ]; then
rewrite SERVER - "[\"']\\?disabled[\"']\\?\\r\\?\$"
else
rewrite SERVER "$2"
fi
;;
esac
}
"""
)
"""`updates MODE SERVER|-`: off and managed are SERVER=disabled; on drops that, or sets the server."""

FAST = r"""
finish() {
drop
tell update.conf is now "$(digest)"
}
after() {
local f
f=$(readlink -f "$CONF") && rm -f -- "${f%/*}/.${f##*/}.fleetctl-$O"
drop
}
"""
