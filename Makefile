# hybrid.mesh: `make` lists what can be done here. Whatever is longer than a line is in scripts/.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup lab-image demo demo-down test lint sanity unit tools cluster wire nodes molecule istiod real bench format build clean

# The tools of the project come first; Ansible asks for a UTF-8 locale, and this one is everywhere.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export LC_ALL := C.UTF-8
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

# What `make demo` joins its hosts to: embedded (the collection's own), or istiod (a real one, on the host control).
CONTROL_PLANE ?= embedded
INVENTORY_embedded := inventories/examples/lab/hosts.yml
INVENTORY_istiod := inventories/examples/istiod/hosts.yml
INVENTORY ?= $(or $(INVENTORY_$(CONTROL_PLANE)),$(error CONTROL_PLANE is $(CONTROL_PLANE), expected embedded or istiod))

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what the other targets need: Debian packages if missing, and .venv
	@scripts/setup.sh

lab-image: setup ## Build the image of the lab's hosts, unless it is there
	@python -m lab image

demo: setup $(if $(filter istiod,$(CONTROL_PLANE)),tools) ## Start hosts, join them to one mesh and prove it; they stay up (CONTROL_PLANE=istiod)
	@scripts/demo.sh $(INVENTORY)

demo-down: ## Remove the demo's hosts and networks and everything that was set for them
	@scripts/demo-down.sh

test: setup ## Run everything below, from lint to the demos, until something fails
	@scripts/test.sh

lint: setup ## ruff, mypy, import rules, YAML, Ansible's production profile, shell, changelog
	@scripts/lint.sh

sanity: setup ## ansible-test sanity, complete and without ignores
	@scripts/sanity.sh

unit: setup ## Unit tests, and the checks of the repository itself
	@python -m pytest tests/unit tests/repo

tools: setup ## Build the real programs of Kubernetes and Istio that tests run, as far as missing
	@python -m lab tools

cluster: tools ## Tests against a real API server and a real istiod, plain processes beside the tests
	@python -m pytest tests/cluster

wire: tools ## Tests over real sockets, with a real Envoy
	@python -m pytest tests/wire

nodes: tools ## Tests on a real Kubernetes node: injected pods and a VM, and the node itself in the mesh
	@python -m pytest tests/nodes

molecule: setup ## Converge, idempotence, proof and offboarding on hosts of their own
	@molecule test --no-command-borders --scenario-name vm_mesh

istiod: ## The demo joined to a real istiod, what its hosts survive, and its end
	@$(MAKE) --no-print-directory real CONTROL_PLANE=istiod
	@python -m pytest tests/leave
	@$(MAKE) --no-print-directory demo-down

real: demo ## The demo, and after it what its hosts survive: restarts, reboots, outages
	@python -m pytest tests/real

bench: tools ## Measure: agents side by side, name servers, 1,000 registrations (.lab/bench/bench.html)
	@python -m tests.bench $(PARTS)

format: setup ## Let ruff lay out the Python code
	@ruff check --fix-only --quiet . && ruff format .

build: setup ## Build the collection's archive into dist/
	@scripts/build.sh

clean: ## Remove what was built or cached here; a running lab stays
	@rm -rf .cache .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist build
