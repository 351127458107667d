#!/bin/sh
# ansible-test sanity on the collection as it is shipped: all its tests, in virtual environments of its own, and without
# an ignore file. What is not shipped (tests, lab, scripts) is for `make lint`.
set -eu
cd "$(dirname "$0")/.."

# ansible-test works only in a directory ansible_collections/hybrid/mesh, and not through a link.
tree=.cache/ansible_collections/hybrid/mesh
rm -rf "$tree"
scripts/build.sh .cache/sanity
ansible-galaxy collection install --force --offline --collections-path .cache .cache/sanity/hybrid-mesh-*.tar.gz
rm -rf .cache/sanity
# It asks git for the files, and to the checkout's git everything in .cache is ignored. Without .gitignore it would go
# on to test its own output in tests/output.
git init --quiet "$tree"
cp .gitignore "$tree"

# Its cache holds get-pip under the name of the pip version that it pins, which it alone knows.
pip=$(python - <<'PYTHON'
from ansible_test._internal.host_configs import VirtualPythonConfig
from ansible_test._internal.python_requirements import get_venv_packages

print(get_venv_packages(VirtualPythonConfig(version="3.11"))["pip"].replace(".", "_"))
PYTHON
)
mkdir -p "$HOME/.ansible/test/cache"
if [ ! -e "$HOME/.ansible/test/cache/get_pip_$pip.py" ]; then
    cp scripts/get_pip.py "$HOME/.ansible/test/cache/get_pip_$pip.py"
fi

version=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
cd "$tree"
exec ansible-test sanity --venv --python "$version" --color no "$@"
