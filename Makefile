# `make demo` and `make test` need Python 3.11+, make and a network to the package index; nothing else.
# `make infra`, `make plan` and `make apply` need Terraform beside that.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TERRAFORM ?= terraform
BRIDGE ?= infra/bridge.yaml
PLAN := $(CURDIR)/build/deploy.tfplan
# The committed settings of an environment. The state's prefix holds their project and prefix, so that bridges can share a bucket.
ENVIRONMENT ?= prod
SETTINGS ?= infra/settings/$(ENVIRONMENT).tfvars
setting = $(shell sed -n 's/^$(1) *= *"\([^"]*\)".*/\1/p' $(SETTINGS) 2>/dev/null)
PROJECT ?= $(call setting,project_id)
# What the environment changes in bridge.yaml, if anything.
OVERLAY ?= $(wildcard $(BRIDGE:.yaml=.$(ENVIRONMENT).yaml))
PREFIX = $(or $(call setting,prefix),bridge)
STATE_PREFIX ?= looker-pigment-bridge/$(PROJECT)/$(PREFIX)
# Its dependencies are at odds with the functions' own, so it has a place of its own.
SCAN := .venv-scan
CHECKOV := 3.3.30
AXE := build/node_modules/axe-core/axe.min.js
# Tests of a file stay on one worker, and the files keep their order.
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

.PHONY: demo test long matrix lint proofs wheel bench archive deployed check infra browser scan preflight plan apply schema lock clean

demo: $(VENV)/ready  ## the main job on this machine: Looker to Pigment, no account needed
	$(BIN)/bridge demo

test: $(VENV)/ready  ## every behaviour; a part of it: TESTS=tests/pull
	$(BIN)/pytest $(PARALLEL) $(TESTS)

long: $(VENV)/ready  ## commands and kills in processes of their own, random cases, memory
	$(BIN)/pytest $(PARALLEL) -m "long and not slow" $(TESTS)

matrix:  ## the suite on the other Pythons of this machine that the package is made for; says which are not installed
	@$(PYTHON) tests/support/interpreters.py $(TESTS)

lint: $(VENV)/ready  ## format, style and types
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

proofs: $(VENV)/ready  ## the slow proofs
	$(BIN)/pytest -m slow

wheel: $(VENV)/ready  ## the package, built and installed where there is no checkout: about a minute
	$(BIN)/pytest -m slow tests/repo/test_the_wheel_runs_without_the_checkout.py

bench: $(VENV)/ready  ## speed and memory, side by side
	$(BIN)/python -m tests.bench

archive:  ## build/functions.zip: what Google Cloud builds the functions from
	$(PYTHON) infra/archive.py

deployed: $(VENV)/ready  ## the archive, installed on its own and served as Google Cloud does: about a minute
	$(BIN)/pytest -m slow tests/infra/test_the_archive_is_complete_and_runs.py

check: $(VENV)/ready  ## bridge.yaml, checked with the functions' own code and written for Terraform; another file: BRIDGE=…
	$(BIN)/bridge check --offline --config $(BRIDGE) $(if $(OVERLAY),--overlay $(OVERLAY)) --out build/bridge.json

# No backend: nothing here looks at what is deployed. One file of tests at a time: a stand-in for the provider that .ci/run
# may use holds no more.
infra: archive $(VENV)/ready  ## Terraform's format, validity and tests, and what it plans for bridge.yaml
	$(BIN)/bridge check --offline --config infra/tests/bridge.yaml --out build/bridge-of-tests.json
	$(TERRAFORM) -chdir=infra fmt -check -recursive
	$(TERRAFORM) -chdir=infra init -backend=false -input=false
	$(TERRAFORM) -chdir=infra validate
	set -e; for file in infra/tests/*.tftest.hcl; do $(TERRAFORM) -chdir=infra test -filter=tests/$$(basename $$file); done
	$(BIN)/pytest $(PARALLEL) -m terraform

browser: $(VENV)/ready $(AXE)  ## the status page in Chromium, with pictures in build/pictures: needs chromium and npm
	$(BIN)/pytest -n auto -m browser tests/operator/test_a_browser_shows_the_status_page.py

$(AXE):
	npm install --silent --no-audit --no-fund --prefix build axe-core@4.14.1

scan: $(SCAN)/ready  ## what a policy scanner says of infra/; exceptions stand in the resources, with their reasons
	$(SCAN)/bin/checkov --directory infra --framework terraform --skip-download --quiet --compact

preflight:  ## what in a project would refuse the first apply, with gcloud alone: make preflight PROJECT=…
	@sh infra/preflight.sh "$(PROJECT)" "$(call setting,region)"

plan: check archive  ## what Terraform would do, kept for `make apply`; STATE_BUCKET=… keeps its state, ENVIRONMENT=… names its settings
	@test -n "$(STATE_BUCKET)" || { echo "Which bucket keeps Terraform's state? make plan STATE_BUCKET=…" >&2; exit 1; }
	@test -n "$(PROJECT)" || { echo "$(SETTINGS) does not set project_id. Write it, or name another file: make plan ENVIRONMENT=…" >&2; exit 1; }
	@echo "Settings: $(SETTINGS). State: gs://$(STATE_BUCKET)/$(STATE_PREFIX)"
	$(TERRAFORM) -chdir=infra init -input=false -reconfigure -backend-config=bucket=$(STATE_BUCKET) -backend-config=prefix=$(STATE_PREFIX)
	$(TERRAFORM) -chdir=infra plan -input=false -var-file=$(abspath $(SETTINGS)) -var=bridge_file=$(abspath $(BRIDGE)) $(if $(OVERLAY),-var=bridge_overlay=$(abspath $(OVERLAY)) )-out=$(PLAN)

apply:  ## do what `make plan` showed, and nothing else
	$(TERRAFORM) -chdir=infra apply -input=false $(PLAN)

# --no-deps: the pinned file is complete, and leaves out what the flights' package needs only to draw data frames.
$(VENV)/ready: tests/requirements.txt pyproject.toml
	@echo "Setting up $(VENV) with $$($(PYTHON) --version): once, about a minute"
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.13 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tests/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(SCAN)/ready: Makefile
	$(PYTHON) -m venv $(SCAN)
	$(SCAN)/bin/python -m pip install --quiet --disable-pip-version-check checkov==$(CHECKOV)
	@touch $@

schema: $(VENV)/ready  ## for editors, the JSON Schema of bridge.yaml; for BigQuery, the columns of receipts: from the structs
	$(BIN)/python -m local.bridge_schema > infra/bridge_schema.json
	$(BIN)/python -m local.receipts_schema > infra/receipts_schema.json

COMPILE = $(BIN)/uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-annotate --custom-compile-command "make lock"
lock: $(VENV)/ready  ## pin what pyproject.toml asks for; UPGRADE=--upgrade for the newest
	$(COMPILE) $(UPGRADE) -o functions/requirements.txt
	$(COMPILE) $(UPGRADE) -o tests/requirements.txt --all-extras -c functions/requirements.txt \
	    --no-emit-package pandas --no-emit-package numpy --no-emit-package python-dateutil --no-emit-package pytz

clean:
	rm -rf $(VENV) .venv-* .demo build dist
