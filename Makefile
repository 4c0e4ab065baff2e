# The developer's front door. `make help` lists the targets.
#   PYTHON   interpreter to build for; default: the virtual environment that make itself sets up.
#            With PYTHON=... nothing is installed, the tools are expected to be there.
#   VENV     where that environment lives (default .venv); PYTHON3 chooses what it is made from.
#   JOBS     parallel test workers (default 2).
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := all

VENV ?= .venv
PYTHON ?= $(VENV)/bin/python
JOBS ?= 2
SEED ?= 1
FIRST ?= 1
SEEDS ?= 10000

# Tools next to the interpreter win over those of the system.
export PATH := $(abspath $(dir $(PYTHON))):$(PATH)

# Only the default interpreter is ours to create and to install into.
ifeq ($(PYTHON),$(VENV)/bin/python)
BUILD_ENV := $(VENV)/.stamp-build
RUN_ENV := $(VENV)/.stamp-run
TEST_ENV := $(VENV)/.stamp-test
DEV_ENV := $(VENV)/.stamp-dev
RUN := $(PYTHON)
else
RUN := PYTHONPATH=src:shells $(PYTHON)
endif

# The services are found in the checkout, whether or not it is installed.
SHELLS = PYTHONPATH=src:shells $(PYTHON)

tag = $(shell $(PYTHON) -c 'import sys; print(sys.implementation.cache_tag)')
# Out-of-tree variants: their package is a copy of the library's kernel folder beside other modules.
pkg = build/$(1)-$(tag)/pkg
with_pkg = PYTHONPATH=$(abspath $(call pkg,$(1))):$(abspath src)

.PHONY: all
all: build ## Build and run the fast tests (the default).
	@$(MAKE) test-fast

.PHONY: help
help: ## List the targets.
	@sed -nE 's/^([a-z][a-z-]*):.*## (.*)/  \1|\2/p' Makefile | column -t -s '|'

# ------------------------------------------------------------------------------- environment
$(VENV)/.stamp-build: tools/bootstrap.sh
	@PYTHON3="$${PYTHON3:-}" tools/bootstrap.sh $(VENV)
	@touch $@

# The package itself is installed in editable form without compiling again: `make build` has put the
# modules into the source tree already. Setuptools warns of every editable installation of more than one
# package, in a block that looks like a failure; there is nothing to do about it.
install = PYTHONWARNINGS='ignore:Editable installation' $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-build-isolation \
	-C cmake.define.TC_COMPILE=OFF -e '.[$(1)]'

$(VENV)/.stamp-run: $(VENV)/.stamp-build pyproject.toml setup.py
	@echo "tradecore: installing tradecore[cli,research,data,services] into $(VENV)"
	@$(call install,cli$(comma)research$(comma)data$(comma)services)
	@touch $@

$(VENV)/.stamp-test: $(VENV)/.stamp-build pyproject.toml setup.py
	@echo "tradecore: installing tradecore[test] into $(VENV)"
	@$(call install,test)
	@touch $@ $(VENV)/.stamp-run

$(VENV)/.stamp-dev: $(VENV)/.stamp-build pyproject.toml setup.py
	@echo "tradecore: installing tradecore[dev] into $(VENV)"
	@$(call install,dev)
	@touch $@ $(VENV)/.stamp-run $(VENV)/.stamp-test

comma := ,

# ------------------------------------------------------------------------------------- build
# $(1) variant, $(2) output folder of the modules, $(3) more CMake arguments. Configures when the
# folder is new or belongs to another interpreter; ninja decides what to compile.
define cmake_build
	@dir=build/$(1)-$(tag); \
	if ! [ -f $$dir/build.ninja ] || [ "$$(cat $$dir/python 2>/dev/null)" != "$(PYTHON) $(3)" ]; then \
	  cmake -S . -B $$dir -G Ninja --log-level=NOTICE -DPython_EXECUTABLE="$$(command -v $(PYTHON))" \
	    -DTC_OUTPUT_DIR="$(abspath $(2))" -DTC_WERROR=ON $(3) >/dev/null && echo "$(PYTHON) $(3)" >$$dir/python; \
	fi; \
	ninja -C $$dir --quiet -k 0
endef

# A variant's folder is a whole tradecore_ext: our modules, and the library's Python files and headers.
define variant
	$(call cmake_build,$(1),$(call pkg,$(1))/tradecore_ext,$(2))
	@cd src/tradecore_ext && find . -type f ! -name '*.pyx' ! -name '*.so' ! -name '*.pyc' \
	  -exec cp -u --parents -t $(abspath $(call pkg,$(1)))/tradecore_ext {} +
endef

.PHONY: build
build: $(BUILD_ENV) ## Compile what changed into src/tradecore_ext.
	$(call cmake_build,release,src/tradecore_ext,)

.PHONY: audit-build asan-build clang-build coverage-build
audit-build: $(BUILD_ENV) ## Kernel with the full audit after every step, into build/audit-*/pkg.
	$(call variant,audit,-DTC_AUDIT=ON)
asan-build: $(BUILD_ENV) ## Kernel under AddressSanitizer and UBSan, with audits, into build/asan-*/pkg.
	$(call variant,asan,-DTC_AUDIT=ON -DTC_SANITIZE=ON)
clang-build: $(BUILD_ENV) ## Kernel compiled by clang, into build/clang-*/pkg.
	@command -v clang >/dev/null || { echo "tradecore: clang not found (Debian: apt-get install clang)" >&2; exit 1; }
	$(call variant,clang,-DCMAKE_C_COMPILER=clang)
coverage-build: $(BUILD_ENV) ## Kernel with gcov counters, into build/coverage-*/pkg.
	$(call variant,coverage,-DTC_COVERAGE=ON)

# --------------------------------------------------------------------------------------- run
.PHONY: run
run: build $(RUN_ENV) ## Set up, build, install and run a whole exchange (30 s where there is no terminal).
	@if [ -t 1 ]; then $(RUN) -m tradecore.cli up; else $(RUN) -m tradecore.cli up --seconds 30 --shock 12; fi

.PHONY: demo
demo: build $(RUN_ENV) ## The demonstration market through the engine alone, at full speed.
	@$(RUN) -m tradecore.cli demo

# ------------------------------------------------------------------------------------- tests
.PHONY: test test-fast
test: build audit-build $(TEST_ENV) ## Set up, build, install and run the tests.
	@echo "tradecore: properties, with the kernel auditing itself after every step"
	@TRADECORE_COMMANDS=$${TRADECORE_COMMANDS:-100000} $(call with_pkg,audit) \
	  $(PYTHON) -m pytest -n $(JOBS) --dist worksteal -q tests/property
	@echo "tradecore: chaos on real servers: kills, pauses, a full disk"
	@$(RUN) -m pytest -q tests/chaos
	@echo "tradecore: everything else, on the release build"
	@$(RUN) -m pytest -n $(JOBS) --dist worksteal -q -m 'not chaos'

test-fast: build $(TEST_ENV) ## The tests that take less than a second or two each.
	@$(RUN) -m pytest -n $(JOBS) --dist worksteal -q -m 'not slow and not chaos'

.PHONY: asan-test
asan-test: asan-build $(TEST_ENV) ## Property and fuzz tests on the sanitizer build.
	@$(call with_pkg,asan) LD_PRELOAD="$$(gcc -print-file-name=libasan.so)" \
	  ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 \
	  $(PYTHON) -m pytest -q -p no:randomly tests/property tests/fuzz

# ------------------------------------------------------------------------------------- check
.PHONY: check lint types
check: lint types ## What a reviewer expects: lint, types, stubs, rules of the repository.
	@$(RUN) -m pytest -q tests/meta

lint: $(DEV_ENV) ## ruff and cython-lint.
	@$(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check .
	@shopt -s nullglob; files=(src/tradecore_ext/*.pyx src/tradecore_ext/*.pxd); \
	  [ $${#files[@]} = 0 ] || cython-lint "$${files[@]}"

types: build $(DEV_ENV) ## mypy --strict, and the hand-written stubs against the compiled modules.
	@$(PYTHON) -m mypy
	@MYPYPATH=src PYTHONPATH=src $(PYTHON) -m mypy.stubtest tradecore_ext --ignore-disjoint-bases \
	  --allowlist tools/stubtest_allowlist.txt --ignore-unused-allowlist

.PHONY: generate docs coverage
generate: ## Rewrite everything that is generated from tc_frame.h and tc_status.def.
	@$(PYTHON) tools/generate.py

docs: build generate $(TEST_ENV) ## Rewrite the reference pages and follow every link of every page.
	@$(RUN) -m pytest -q tests/meta/test_docs.py tests/meta/test_generated.py

coverage: build $(DEV_ENV) ## Which lines of the library the fast tests do not reach.
	@$(RUN) -m coverage run -m pytest -q -m 'not slow and not chaos'
	@$(PYTHON) -m coverage combine -q && $(PYTHON) -m coverage report

# --------------------------------------------------------------------- measuring and searching
.PHONY: bench capacity mutants fuzz nightly
bench: build $(TEST_ENV) ## Measure: the whole benchmark table of this machine.
	@$(RUN) -m tradecore.cli bench

capacity: build $(TEST_ENV) ## Measure what a plan needs, plan for a million users, write build/capacity.html.
	@mkdir -p build && rm -f build/capacity.jsonl
	@$(RUN) -m tradecore.cli bench capacity --out build/capacity.jsonl --html build/capacity.html --users 1000000

mutants: build $(TEST_ENV) ## Compile every single-fault mutant of the kernel and show what kills it.
	@$(PYTHON) tools/mutants.py

fuzz: asan-build $(TEST_ENV) ## Mutate frames, envelopes, journals and snapshots for FUZZ_SECONDS (60).
	@$(call with_pkg,asan) LD_PRELOAD="$$(gcc -print-file-name=libasan.so)" \
	  ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 TRADECORE_FUZZ_SECONDS=$${FUZZ_SECONDS:-60} \
	  $(PYTHON) -m pytest -q -p no:randomly tests/fuzz
	@$(PYTHON) -c 'import atheris' 2>/dev/null || { echo "tradecore: no atheris, so no coverage-guided run"; exit 0; }; \
	  for target in frames edge message envelope journal snapshot state cell; do \
	    $(RUN) tests/fuzz/coverage_guided.py $$target -max_total_time=$${FUZZ_SECONDS:-60} -verbosity=0 || exit 1; \
	  done

.PHONY: sim sim-deep sim-mutants
sim: build $(TEST_ENV) ## One simulated world: make sim SEED=n; its story when it fails.
	@$(SHELLS) -m tradecore_shells.sim --seed $(SEED)

sim-deep: build $(TEST_ENV) ## SEEDS (10000) simulated worlds from FIRST (1) on; the record is kept.
	@$(SHELLS) -m tradecore_shells.sim --seeds $(FIRST):$$(($(FIRST) + $(SEEDS))) \
	  --processes $(JOBS) --record bench/baselines/sim-deep.jsonl

sim-mutants: build $(TEST_ENV) ## Plant every design bug; each must be caught within 200 seeds.
	@$(SHELLS) -m tradecore_shells.sim --mutants --processes $(JOBS)

nightly: build audit-build $(TEST_ENV) ## All tests at nightly size: hours, tens of millions of commands.
	@TRADECORE_COMMANDS=1000000 $(call with_pkg,audit) \
	  $(PYTHON) -m pytest -n $(JOBS) -q --nightly tests/property
	@TRADECORE_COMMANDS=10000000 $(RUN) -m pytest -n $(JOBS) -q --nightly

# ------------------------------------------------------------------------------------ servers
.PHONY: services-up services-down
SERVICES := PYTHONPATH=src:shells:. $(PYTHON) -m services

services-up: $(BUILD_ENV) ## Kafka, Postgres and Redis on loopback, installed where missing.
	@$(SERVICES) up

services-down: $(BUILD_ENV) ## Stop them; their data stays in .services.
	@$(SERVICES) down

# -------------------------------------------------------------------------------------- chaos
.PHONY: chaos chaos-short
CHAOS := PYTHONPATH=src:shells:tests:. $(PYTHON) -m chaos --seed $(SEED)

chaos: build $(TEST_ENV) ## Hundreds of faults on real servers under 20,000 orders/s (SEED=1; a quarter of an hour).
	@$(CHAOS) --record bench/baselines/chaos.jsonl

chaos-short: build $(TEST_ENV) ## The same with thirty faults, as in `make test`.
	@$(CHAOS) --short

# ------------------------------------------------------------------------------------ deliver
.PHONY: dist
dist: $(DEV_ENV) ## Build sdist and wheel; test the wheel in clean environments.
	@$(PYTHON) tools/dist.py

.PHONY: clean
clean: ## Remove everything that was built, and the environment.
	@rm -rf build dist $(VENV) src/*.egg-info src/tradecore_ext/*.so .mypy_cache .ruff_cache .pytest_cache
