#!/bin/sh
# Checks every shell script of the project, whatever its name.
set -eu
cd "$(dirname "$0")/.."
scripts/files.sh | xargs -0 grep --null --files-with-matches --max-count=1 -E '^#!(/usr)?/bin/(env )?(ba)?sh( |$)' |
    xargs -0 shellcheck
