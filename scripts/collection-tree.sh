#!/bin/sh
# collection-tree.sh DIRECTORY: makes DIRECTORY a copy of the project's files.
# Tools that ask for ansible_collections/NAMESPACE/NAME above them, and follow no link, work in such a copy.
set -eu
cd "$(dirname "$0")/.."
rm -rf "$1"
mkdir -p "$1"
scripts/files.sh | tar --null --files-from=- --create --file=- | tar --directory="$1" --extract --file=-
