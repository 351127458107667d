#!/bin/sh
# Installs what the project needs on Debian 12: packages that are missing, the tools of requirements/dev.txt in .venv,
# and the link by which Ansible finds this checkout as hybrid.mesh. Does nothing when all of it is there.
set -eu
cd "$(dirname "$0")/.."

# What each is for: the lab (podman to nftables), its image (mmdebstrap to mount), the tools, the way into hosts, checks.
packages="podman runc netavark aardvark-dns iptables nftables
    mmdebstrap libdistro-info-perl libdpkg-perl gpg mount
    python3 python3-venv ca-certificates
    openssh-client iproute2 curl
    shellcheck"

missing=""
for package in $packages; do
    state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "setup: these packages are missing:$missing" >&2
        echo "setup: install them, or run this as root or through sudo" >&2
        exit 1
    fi
    echo "setup: installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update --quiet=2
    # shellcheck disable=SC2086 # one word for each package
    apt-get install --quiet=2 --yes --no-install-recommends $missing >/dev/null
fi

# Debian's own Python, because it is the one that the hosts have too; elsewhere, whatever python3 is.
python=/usr/bin/python3
[ -x "$python" ] || python=python3
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "setup: Python 3.11 or later is needed, $("$python" --version) was found" >&2
    exit 1
fi

stamp=$({ "$python" --version; pwd; cat requirements/*.txt; } | sha256sum)
if [ "$(cat .venv/stamp 2>/dev/null)" != "$stamp" ]; then
    echo "setup: installing the tools into .venv"
    "$python" -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
        --requirement requirements/dev.txt
    echo "$stamp" >.venv/stamp
fi

mkdir -p .cache/collections/ansible_collections/hybrid
ln -sfn ../../../.. .cache/collections/ansible_collections/hybrid/mesh
