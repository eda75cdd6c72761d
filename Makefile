# make chat              install if needed, index seeds/, open the chat page
# make ask Q="..."       the same, answered on the terminal
# make test              style, types, and every test
# make bench             how fast and how large, as ratios where a peer exists
# make page-figures      how quick the chat page is in a real browser
# make figures DATA=...  every quality figure of the README, by the commands it names

PYTHON ?= python3
Q ?= How many cherry trees will Japan give?
DATA ?= ../shared/data
BIN := .venv/bin

.PHONY: chat ask test bench figures page-figures picture install clean

chat: install
	@$(BIN)/rag add seeds/
	@$(BIN)/rag chat --browser

ask: install
	@$(BIN)/rag add seeds/ >/dev/null
	@$(BIN)/rag ask "$(Q)"

install:
	@$(PYTHON) .ci/install.py

test:
	@$(PYTHON) .ci/install.py --dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

# DATA is a folder with reading/, cases/ and retrieval/; what was run already is kept in rag-eval/figures
figures: install
	@$(BIN)/python -m rag.evals.figures "$(DATA)"

bench: install
	@$(BIN)/python -m rag.evals.bench --data "$(DATA)/reading/squad1-train.jsonl.gz"

page-figures:
	@$(PYTHON) .ci/install.py --dev
	@$(BIN)/python -m tests.browser.figures

picture:
	@$(PYTHON) .ci/install.py --dev
	@$(BIN)/python -m tests.browser.picture

clean:
	rm -rf .venv models/files $(filter-out index/README.md,$(wildcard index/*))
