#!/bin/sh
[ "$1" = --list ] && exec cat "$(dirname "$0")/list.json"
exit 64
