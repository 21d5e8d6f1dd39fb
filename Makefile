# make demo   the main job: environment, simulated fleet over real SSH, its status
# make test   the tests that CI runs: booted hosts first, then the rest, two files at a time
# make check  format, lint, types, import contracts, architecture
# make slow   what is too long for CI; run before a release
# make screenshots   renew screenshots/ (PNG with rsvg-convert, pngquant and DejaVu fonts installed)
# make lock   renew the lock file from pyproject.toml (needs uv)

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check slow lock format screenshots

demo: .venv/ready
	@$(BIN)/fleetctl demo

test: .venv/ready
	$(BIN)/pytest -m "lab and not slow"
	$(BIN)/pytest -m "not slow and not lab" -n 2 --dist loadfile

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest tests/architecture

slow: .venv/ready
	$(BIN)/pytest -m slow --timeout 900

format: .venv/ready
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

.venv/ready: requirements.lock pyproject.toml
	@echo "making .venv from requirements.lock"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

screenshots: .venv/ready
	$(BIN)/python screenshots/take.py

lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra dev pyproject.toml -o requirements.lock
