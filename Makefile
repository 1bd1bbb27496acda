# make run: watch it work.  make test: see it proven.  make lint: what CI checks beside the tests.
.PHONY: run test lint

run:
	@./setup.sh run
	@.venv/bin/edge-agent demo

test:
	@./setup.sh test
	@.venv/bin/python -m pytest -q

lint:
	@./setup.sh lint
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
