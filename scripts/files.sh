#!/bin/sh
# files.sh [PATTERN...]: the files of the project that match, each ended by a NUL: tracked ones and new ones, nothing
# that git ignores, and nothing that is tracked but was just deleted.
set -eu
cd "$(dirname "$0")/.."
# As root in somebody else's checkout, git would refuse to read it.
# shellcheck disable=SC2016 # $file is of the inner shell
git -c "safe.directory=$PWD" ls-files -z --cached --others --exclude-standard -- "$@" |
    xargs -0 sh -c 'for file; do if [ -e "$file" ]; then printf "%s\0" "$file"; fi; done' sh
