# Everything runs in the project's own virtual environment. `make run` and `make test` need only
# Python >= 3.11 with pip, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export TF_CPP_MIN_LOG_LEVEL ?= 2
# Test processes side by side, each with one thread for its models.
WORKERS ?= 2
PYTEST = OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 \
  $(BIN)/pytest -m "not slow" -n $(WORKERS) --dist worksteal

.PHONY: help setup run check-infra test retry coverage test-slow check lint types imports golden lock clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

setup: $(STAMP) ## the virtual environment, with the locked dependencies

$(STAMP): requirements.lock requirements-bootstrap.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Slate needs Python >= 3.11; $$($(PYTHON) --version) found. Name another one: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv --without-pip $(VENV)
	@test -x $(BIN)/uv || $(PYTHON) -m pip --python $(BIN)/python install -q --no-deps --require-hashes -r requirements-bootstrap.lock
	$(BIN)/uv pip sync -q --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

run: setup ## the main job on MovieLens-100K: data -> models -> gate -> sealed release
	$(BIN)/slate run

test: setup ## the tests, without those marked slow
	$(PYTEST)

retry: setup ## the tests that failed last, once more, one after the other; no more than three
	@test "$$($(BIN)/pytest -q --collect-only --last-failed --last-failed-no-failures none -m "not slow" 2>/dev/null | grep -c ::)" -le 3 || \
	  { echo "More than three tests failed: none is tried again"; exit 1; }
	$(BIN)/pytest --last-failed --last-failed-no-failures none -m "not slow"

coverage: setup ## the same with branch coverage, which takes twice the time
	$(PYTEST) --cov --cov-report=term:skip-covered --cov-report=xml

test-slow: setup ## the tests marked slow
	$(BIN)/pytest -m slow

check: setup lint types imports test ## all that CI runs

lint: setup ## ruff, workflow and container file linters
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/actionlint
	$(BIN)/hadolint pipelines/Containerfile serving/Containerfile

types: setup ## strict typing
	$(BIN)/mypy

imports: setup ## the layers of docs/architecture.md
	$(BIN)/lint-imports

check-infra: setup $(VENV)/checkov/.installed ## Terraform and manifests: formatting, schemas, rules, seeded mistakes, checkov
	$(BIN)/pytest -q tests/infra
	for overlay in local dev prod; do \
	  mkdir -p $(VENV)/rendered && $(BIN)/kubectl kustomize k8s/overlays/$$overlay > $(VENV)/rendered/$$overlay.yaml || exit 1; \
	done
	$(VENV)/checkov/bin/checkov --framework terraform -d terraform --compact --quiet --skip-download
	$(VENV)/checkov/bin/checkov --framework kubernetes -d $(VENV)/rendered --compact --quiet --skip-download

# checkov pins libraries that the project has newer, so it lives alone.
$(VENV)/checkov/.installed: infra_checks/checkov.lock | $(STAMP)
	$(BIN)/uv venv -q --allow-existing --python $(BIN)/python $(VENV)/checkov
	$(BIN)/uv pip sync -q --python $(VENV)/checkov/bin/python --require-hashes infra_checks/checkov.lock
	@touch $@

golden: setup ## write the compiled pipelines that the tests compare with
	$(BIN)/python -m pipelines.compile

lock: ## renew both locks from pyproject.toml
	printf 'certifi\nml-dtypes>=0.5.1,<1\n' > $(VENV)/override.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --override $(VENV)/override.txt --extra train --extra serve --extra pipelines --extra local \
	  --extra tracking --extra tuning --group dev \
	  pyproject.toml -o requirements.lock
	cp requirements.lock serving/requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --override $(VENV)/override.txt --extra serve pyproject.toml -o serving/requirements.lock

clean: ## remove the virtual environment and the caches; stores (.slate) stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .coverage coverage.xml
