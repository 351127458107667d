#!/bin/sh
# Removes the demo's hosts, networks and reports. Works with a whole lab, with parts of one, and with none.
set -eu
cd "$(dirname "$0")/.."
# The lab's code needs no more than the standard library for this: it works when .venv is gone, too.
python=.venv/bin/python
[ -x "$python" ] || python=python3
"$python" -m lab down
rm -rf .lab/verify
if [ -d .lab ]; then
    rmdir --ignore-fail-on-non-empty .lab
fi
