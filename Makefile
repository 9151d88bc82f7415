# Everything happens below this folder: the environment is .venv, what runs write is under data/ and build/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TMP := $(CURDIR)/build/tmp
PIP := -m pip --quiet --disable-pip-version-check --no-cache-dir

# Modules are compiled once, not by each of the many processes that the tests start, whatever the environment prefers.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo serve sandbox docs test check audit fix simulate test-simulation test-sandbox test-crash test-postgres test-docs test-fuzz test-browser screenshots test-clients bench soak
.PHONY: test-trl describe-trl migration lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

$(READY): requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) install --require-hashes -r requirements/dev.txt
	$(BIN)/python $(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

demo: $(READY) ## three runs through sandbox and service, shown live; under a minute
	$(BIN)/tunegate demo

serve: $(READY) ## run the service (settings: TUNEGATE_… variables)
	$(BIN)/tunegate serve

sandbox: $(READY) ## run the local Hugging Face server
	$(BIN)/tunegate sandbox --folder data/jobs

docs: $(READY) ## write the pages of docs/ that tell what the code says
	$(BIN)/python -m tools.docs

test: $(READY) ## all tests that need only Python
	@mkdir -p $(TMP)
	TMPDIR=$(TMP) $(BIN)/python -m pytest -n auto --dist worksteal

$(VENV)-audit/.ready: requirements/audit.txt
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/python $(PIP) install --require-hashes -r requirements/audit.txt
	@touch $@

audit: $(VENV)-audit/.ready ## known vulnerabilities of what is pinned, where they can be asked for
	@$(VENV)-audit/bin/python tools/audit.py $(VENV)-audit/bin/pip-audit requirements/*.txt

check: $(READY) audit ## format, lint, types, known vulnerabilities
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

fix: $(READY) ## format, and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

SEED ?= 1
SEEDS ?= 1
STEPS ?= 60
REPLICAS ?= 1

simulate: $(READY) ## a seed of the crash simulation, or many: make simulate SEED=7 SEEDS=1000 REPLICAS=2
	$(BIN)/python -m tests.simulation --seed $(SEED) --seeds $(SEEDS) --steps $(STEPS) --replicas $(REPLICAS)

test-simulation: $(READY) ## hundreds of seeds of the crash simulation, and that it finds broken rules
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/simulation

test-sandbox: $(READY) ## the local Hugging Face: jobs as processes, the Hub, buckets, the real hf command
	@mkdir -p $(TMP)
	TMPDIR=$(TMP) $(BIN)/python -m pytest -n 2 tests/sandbox

test-crash: $(READY) ## the service as processes: killed at any moment, cut off, copied; the demo; the command line, and docs/cli.md
	@mkdir -p $(TMP)
	TMPDIR=$(TMP) $(BIN)/python -m pytest -n 2 tests/crash tests/cli

test-postgres: $(READY) ## the store's, the steps' and the doors' tests on a PostgreSQL of their own, and several replicas on one
	$(BIN)/python -m pytest --postgres -n 2 --dist worksteal tests/store tests/flow tests/doors tests/api/test_sweeps.py tests/crash/test_kill.py tests/replicas

# in the order of the goals of benchmarks/README.md
BENCHMARKS := post admission depth latency hub_calls throughput growth followers webhooks footprint
ONLY ?= $(BENCHMARKS)

bench: $(READY) ## every benchmark, with its ratios; JSON in build/bench. Some: make bench ONLY="admission"; ON=--postgres for PostgreSQL
	@mkdir -p $(TMP)
	@set -e; for one in $(ONLY); do echo "== $$one"; $(if $(ON),,TMPDIR=$(TMP)) $(BIN)/python -m benchmarks.$$one $(ON); done

MINUTES ?= 5

soak: $(READY) ## a steady load with faults, watched for growth, and its books at the end: make soak MINUTES=60; ON=--postgres
	@mkdir -p $(TMP)
	$(if $(ON),,TMPDIR=$(TMP)) $(BIN)/python -m benchmarks.soak --minutes $(MINUTES) $(ON)

test-docs: $(READY) ## every command and program of the pages, typed; hf, Go, Prometheus' rules, a restored dump, an install by hand
	@mkdir -p $(TMP)
	TMPDIR=$(TMP) DOCS_NEED="node go hf pip postgres promtool" $(BIN)/python -m pytest -n 2 tests/docs tests/pages

$(VENV)-fuzz/.ready: $(READY) requirements/fuzz.txt
	$(PYTHON) -m venv $(VENV)-fuzz
	$(VENV)-fuzz/bin/python $(PIP) install --require-hashes -r requirements/fuzz.txt
	$(VENV)-fuzz/bin/python $(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

test-fuzz: $(VENV)-fuzz/.ready ## thousands of requests out of the OpenAPI document, as several roles; FUZZ_SEED=7 for others
	@mkdir -p $(TMP)
	TMPDIR=$(TMP) PATH="$(CURDIR)/$(VENV)-fuzz/bin:$$PATH" $(VENV)-fuzz/bin/python -m pytest -n 2 -rP tests/fuzz

$(VENV)-browser/.ready: $(READY) requirements/browser.txt
	$(PYTHON) -m venv $(VENV)-browser
	$(VENV)-browser/bin/python $(PIP) install --require-hashes -r requirements/browser.txt
	$(VENV)-browser/bin/python $(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

test-browser: $(VENV)-browser/.ready ## the dashboard in chromium: each page, each action, live, dark, on a phone, accessible
	@mkdir -p $(TMP)
	TMPDIR=$(TMP) PATH="$(CURDIR)/$(VENV)-browser/bin:$$PATH" $(VENV)-browser/bin/python -m pytest -n 2 --dist loadfile tests/browser

screenshots: $(VENV)-browser/.ready ## docs/images: the dashboard over a demo with runs of every kind
	@mkdir -p $(TMP)
	TMPDIR=$(TMP) PATH="$(CURDIR)/$(VENV)-browser/bin:$$PATH" $(VENV)-browser/bin/python -m tools.screenshots docs/images

$(VENV)-clients/.ready: $(READY) requirements/clients.txt
	$(PYTHON) -m venv $(VENV)-clients
	$(VENV)-clients/bin/python $(PIP) install --require-hashes -r requirements/clients.txt
	$(VENV)-clients/bin/python $(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

test-clients: $(VENV)-clients/.ready ## transformers and datasets, unmodified, against the sandbox
	@mkdir -p $(TMP)
	TMPDIR=$(TMP) $(VENV)-clients/bin/python -m pytest tests/clients

# torch by itself and first: resolved with the rest it would bring gigabytes of CUDA
TORCH := torch==2.13.0

$(VENV)-trl/.ready: $(READY) requirements/trl.txt
	$(PYTHON) -m venv $(VENV)-trl
	$(VENV)-trl/bin/python $(PIP) install $(TORCH)
	$(VENV)-trl/bin/python $(PIP) install --require-hashes --no-deps -r requirements/trl.txt
	$(VENV)-trl/bin/python $(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

test-trl: $(VENV)-trl/.ready ## TRL itself: its parser over our commands, and real runs to every kind of end
	@mkdir -p $(TMP)
	TMPDIR=$(TMP) $(VENV)-trl/bin/python -m pytest -n 2 --dist loadfile tests/trl

TRANSFORMERS := 5.23.0

describe-trl: ## describe a TRL release's flags, and the models of its transformers: make describe-trl VERSION=1.16.0
	$(PYTHON) -m venv build/trl-$(VERSION)
	build/trl-$(VERSION)/bin/python $(PIP) install $(TORCH)
	build/trl-$(VERSION)/bin/python $(PIP) install trl==$(VERSION) transformers==$(TRANSFORMERS) peft
	build/trl-$(VERSION)/bin/python tools/describe_trl.py > build/trl-$(VERSION)/release.json
	build/trl-$(VERSION)/bin/python tools/describe_transformers.py > build/trl-$(VERSION)/models.json
	mv build/trl-$(VERSION)/release.json service/domain/trl/releases/$(VERSION).json
	mv build/trl-$(VERSION)/models.json service/domain/trl/models/$(TRANSFORMERS).json

migration: $(READY) ## a new migration from the tables: make migration NAME="add things"
	$(BIN)/python -m migrations.draft "$(NAME)"

COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock: $(READY) ## bring the hashed requirement files up to date with pyproject.toml
	$(BIN)/$(COMPILE) pyproject.toml --output-file requirements/service.txt
	$(BIN)/$(COMPILE) pyproject.toml --group dev --constraint requirements/service.txt \
		--output-file requirements/dev.txt
	$(BIN)/$(COMPILE) pyproject.toml --group dev requirements/clients.in --constraint requirements/dev.txt \
		--output-file requirements/clients.txt
	$(BIN)/$(COMPILE) pyproject.toml --group dev requirements/trl.in --constraint requirements/dev.txt \
		--excludes requirements/trl.excludes --output-file requirements/trl.txt
	$(BIN)/$(COMPILE) pyproject.toml --group dev requirements/fuzz.in --constraint requirements/dev.txt \
		--output-file requirements/fuzz.txt
	$(BIN)/$(COMPILE) pyproject.toml --group dev requirements/browser.in --constraint requirements/dev.txt \
		--output-file requirements/browser.txt
	$(BIN)/$(COMPILE) requirements/audit.in --output-file requirements/audit.txt

clean: ## remove the environment and everything that runs wrote
	rm -rf $(VENV) $(VENV)-audit $(VENV)-browser $(VENV)-clients $(VENV)-fuzz $(VENV)-trl build data .pytest_cache .mypy_cache .ruff_cache
