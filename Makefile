# make run: watch it work.  make test: see it proven.  make lint: what CI checks beside the tests.
# make test-faults: the tests of tests/faults at full length, an hour: docs/faults.md says what each proves.
# make test-easyocr: what needs PyTorch (several GB), EasyOCR and the training, in an environment of its own.
# make bench: how fast it is.  make accuracy: how well it reads.
.PHONY: run test test-faults test-easyocr lint bench accuracy

run:
	@./setup.sh run
	@.venv/bin/edge-agent demo

test:
	@./setup.sh test
	@.venv/bin/python -m pytest -q

# What compares with a model whatever is done in whatever order.
MODELS = tests/outbox/test_outbox_against_a_list.py tests/publisher/test_whatever_happens.py
test-faults:
	@./setup.sh test
	@EDGE_AGENT_FAULTS=full .venv/bin/python -m pytest -q -rP --show-capture=stdout tests/faults $(MODELS)

test-easyocr:
	@./setup.sh easyocr
	@.venv-easyocr/bin/python -m pytest -q tests/easyocr tests/training

lint:
	@./setup.sh lint
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

# EDGE_AGENT_DATA: a folder with eval/us and eval/us.csv. PEER: another reader's script to run beside ours.
bench:
	@./setup.sh run
	@.venv/bin/python -m benchmarks.speed $(if $(EDGE_AGENT_DATA),--pictures $(EDGE_AGENT_DATA)/eval/us --truth $(EDGE_AGENT_DATA)/eval/us.csv) $(if $(PEER),--peer $(PEER))

# EDGE_AGENT_DATA: a folder with eval/NAME/ and eval/NAME.csv. PEER: as above.
accuracy:
	@./setup.sh run
	@.venv/bin/python -m benchmarks.accuracy $(or $(wildcard $(EDGE_AGENT_DATA)/eval/*.csv),$(error set EDGE_AGENT_DATA to a folder with eval/NAME.csv)) $(if $(PEER),--peer $(PEER))
