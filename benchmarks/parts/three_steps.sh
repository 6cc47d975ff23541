#!/bin/sh
# The floor: read, apply, verify on one host by plain OpenSSH; each step is a connection of its own, unless $SSH_REUSE
# gives the options of one that is already open. Usage: three_steps.sh NAME=ADDRESS, with $SSH_OPTIONS, $RULES, $WANTED.
set -eu
name=${1%%=*} address=${1#*=}
# shellcheck disable=SC2086 -- the options are words
run() { ssh $SSH_OPTIONS ${SSH_REUSE:+-o "ControlPath=$SSH_REUSE/%h"} "root@$address" "$1"; }
before=$(run 'nft -s -nn list ruleset' </dev/null)
run 'nft -f -' <"$RULES"
after=$(run 'nft -s -nn list table inet remedy_isolation; nft -s -nn list table bridge remedy_isolation' </dev/null)
[ "$after" = "$(cat "$WANTED")" ] || { echo "not as wanted: $name" >&2; exit 1; }
: "$before"
echo "verified $name"
