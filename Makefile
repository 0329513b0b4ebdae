# Each target sets up its tools in .venv (tools/setup), `bench` in build/bench and `test-windows` in
# build/windows, so a fresh checkout needs no other step.

PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=
PYTEST_WORKERS ?= 3
PYTHONS ?= python3.11 python3.12 python3.13 python3.14 python3.15
FUZZ_SECONDS ?= 180
WITHOUT_FAST := tests/unit tests/process/test_run.py tests/process/test_completion.py
BIN := .venv/bin

export PYTHON
# Both would let another Python's modules into .venv.
unexport PYTHONHOME PYTHONPATH
# It would remove the assert statements of the tests.
unexport PYTHONOPTIMIZE

# Every path below, and what `clean` removes, is relative to the repository.
ifeq ($(wildcard tools/setup),)
$(error Cannot find tools/setup: run make in the repository of soe-auth, or with -C)
endif

# Two targets at once would set up the same .venv.
.NOTPARALLEL:

.DEFAULT_GOAL := help
.PHONY: help demo test test-unit test-without-fast test-all test-windows fuzz bench lint lock format
.PHONY: docs pictures man build sbom standards clean
.PHONY: ready-demo ready-lint ready-test ready-windows

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' Makefile

demo: ready-demo ## start a local site and log in to it
	@$(BIN)/soe-auth demo

# ready-test comes first: it installs everything at once, including the tools of lint.
test: ready-test lint ## lint, then the tests with coverage; a part: PYTEST_ARGS="-k store"
	@$(BIN)/coverage erase
	@# Tests that measure time run alone, at the end. pytest exits with 5 if a part has no selected
	@# test. A failed suite fails even if the report succeeds, and a missing report fails too.
	@$(BIN)/coverage run -m pytest -n $(PYTEST_WORKERS) --dist worksteal -m "not alone" $(PYTEST_ARGS); \
	together=$$?; \
	$(BIN)/coverage run -m pytest -m alone $(PYTEST_ARGS); \
	case $$together$$? in 00 | 05 | 50) status=0 ;; *) status=1 ;; esac; \
	{ $(BIN)/coverage combine --quiet && $(BIN)/coverage report; } || status=1; \
	tools/without-fast -q -n $(PYTEST_WORKERS) -m "not alone" $(WITHOUT_FAST) || status=1; \
	exit $$status

test-unit: ready-test ## the fast tests, in one process: half a minute (PYTEST_ARGS)
	@$(BIN)/python -m pytest -q -n $(PYTEST_WORKERS) --dist worksteal \
		-m "not (alone or browser or process or slow)" tests/unit tests/fast tests/integration $(PYTEST_ARGS)

test-without-fast: ready-test ## the tests on a copy without soe_auth/fast; `make test` runs a part of them
	@tools/without-fast -n $(PYTEST_WORKERS) -m "not alone" $(PYTEST_ARGS)

test-all: ## the core suite on each installed Python of PYTHONS="python3.11 python3.12"
	@tools/test-all $(PYTHONS)

test-windows: ready-windows ## the portable tests on Python for Windows, under Wine (PYTEST_ARGS)
	@tools/windows $(PYTEST_ARGS)

fuzz: ready-lint ## the fuzz tests of `make test`, for longer (FUZZ_SECONDS=180)
	HYPOTHESIS_PROFILE=long FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest -s tests/integration/test_fuzz.py -o timeout=1800

bench: ## measure it beside similar tools (BENCH_ARGS="--rounds 5")
	@tools/bench $(BENCH_ARGS)

lock: ready-test ## pin the newest versions of the tools in tools/constraints.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
		--group dev --group bench --all-extras --output-file tools/constraints.txt pyproject.toml

format: ready-lint ## format the code, and apply automatic fixes
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lint: ready-lint ## format, lint, words, types, import contracts and the CI workflow
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/codespell
	$(BIN)/python tools/words.py
	$(BIN)/mypy --platform linux
	@# mypy discards a cache of another platform, which costs seconds: each has its own.
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin
	@# Tests with the mark `posix` use functions that Windows lacks.
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 soe_auth tests/windows
	@# It searches the packages of the python on PATH, and lists each module: print it only on failure.
	@echo basedpyright --verifytypes soe_auth; \
	output=$$(PATH="$(CURDIR)/$(BIN):$$PATH" basedpyright --verifytypes soe_auth --ignoreexternal) || \
		{ printf '%s\n' "$$output"; exit 1; }
	$(BIN)/lint-imports
	$(BIN)/zizmor --offline --quiet --pedantic --strict-collection .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml

docs: ready-lint ## build the pages as a site, in build/docs
	rm -rf build/docs
	$(BIN)/python -m sphinx --fail-on-warning --quiet --conf-dir docs . build/docs

man: ready-demo ## write the man page
	$(BIN)/python tools/manpage.py >man/soe-auth.1

build: ready-test ## build the sdist and the wheel, in dist
	rm -rf dist
	$(BIN)/python -m build --no-isolation

sbom: ready-test ## write the SBOM of an installation of dist/*.whl: build/sbom.json
	$(BIN)/python -m venv --clear --without-pip build/sbom
	$(BIN)/pip --python build/sbom/bin/python install -qq dist/*.whl
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-file build/sbom.json build/sbom/bin/python

pictures: ready-test ## make the pictures of the README again
	$(BIN)/python tools/pictures.py

standards: ## write the tests of each clause into docs/reference/standards.md
	@$(PYTHON) tools/standards.py

clean: ## remove .venv, caches and built files
	rm -rf .venv build dist test-artifacts *.egg-info .coverage .coverage.* \
		.hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

ready-demo ready-lint ready-test ready-windows: ready-%:
	@tools/setup $*
