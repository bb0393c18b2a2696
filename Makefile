# Two commands are enough: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXTRAS ?= dev
DEMO_STUDY := studies/quickstart.yaml

.PHONY: help demo test test-slow test-networks faults audit licences pictures format clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 15

# The stamp is younger than what it depends on: the environment is made once and again only
# when the dependencies change.
$(VENV)/.ready: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Spinforge needs Python 3.11 or newer; set PYTHON=..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  -c requirements.lock -e ".[$(EXTRAS)]"
	touch $@

demo: $(VENV)/.ready  ## set up and run the main job on procedural heads (minutes)
	$(BIN)/spinforge study $(DEMO_STUDY)

test: $(VENV)/.ready  ## format, lint, types and the fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -p spinforge
	$(BIN)/pytest -n 2 --durations 15

test-slow: $(VENV)/.ready  ## the tests that take minutes
	$(BIN)/pytest -n 2 --durations 15 -m slow

# Not part of CI, for its length; some of it, on narrow networks, is in test-slow.
test-networks: $(VENV)/.ready  ## every network of the catalogue at full width (very long)
	$(BIN)/pytest -n 2 --dist loadgroup -m network_gate tests/models/gates

# Exit code 1: vulnerable; 3: the service could not be asked, which is not "clean".
audit: $(VENV)/.ready  ## licences of all requirements, and known vulnerabilities (needs the internet)
	$(BIN)/python .ci/licences.py --check
	$(BIN)/python .ci/audit.py

licences: $(VENV)/.ready  ## write docs/licences.md again, after a change of requirements
	$(BIN)/python .ci/licences.py

# Not part of CI, for its length.
faults: $(VENV)/.ready  ## put faults into whole runs, and print what each came to (half an hour)
	$(BIN)/pytest -n 2 -m faults tests/flows/faults

pictures: $(VENV)/.ready  ## draw the pictures of README (from the run of `make demo`) and docs/
	$(BIN)/python docs/draw_architecture.py docs/pictures/architecture.svg
	$(BIN)/python docs/draw_pictures.py runs/quickstart docs/pictures/quickstart.png
	$(BIN)/spinforge inspect $(DEMO_STUDY) --to docs/pictures --subject head-000 \
	  --set data.scanner.profile=seranet --set data.scanner.coils=8 \
	  --set data.scanner.receive_range_percent=0

format: $(VENV)/.ready  ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove the environment and caches; keeps runs/
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build *.egg-info src/*.egg-info
