# Every target first makes .venv, again only when pyproject.toml has changed.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

PRESET ?= $(if $(shell command -v nvidia-smi 2>/dev/null),paper,quick)
DATA ?= data/phantoms-$(PRESET)
RUN ?= $(PRESET)-$(shell date +%Y%m%d-%H%M%S)
TEACHER ?= runs/teacher/$(PRESET)/checkpoints/best.ckpt
LATEST = $(shell ls -td runs/distill/*/ 2>/dev/null | head -n 1)
ARGS ?=

# glibc gives large blocks back to the system after every step; keeping them halves a CPU step.
export MALLOC_TRIM_THRESHOLD_ := 100000000000
export MALLOC_MMAP_THRESHOLD_ := 100000000000
export MALLOC_TOP_PAD_ := 500000000

.DEFAULT_GOAL := help
.PHONY: help train-teacher distill evaluate report test test-fast lint format bench clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*##/\1|/' | column -t -s '|'
	@echo "variables: PRESET=quick|paper DATA=folder with a manifest.csv  RUN=name  ARGS='--KEY VALUE ...'"

$(READY): pyproject.toml
	@command -v uv >/dev/null || $(PYTHON) -m uv --version >/dev/null 2>&1 || $(PYTHON) -m pip install --quiet uv \
		|| $(PYTHON) -m pip install --quiet --user --break-system-packages uv
	@UV=$$(command -v uv || echo "$(PYTHON) -m uv"); \
		$$UV venv --quiet --clear --python $(PYTHON) $(VENV) && \
		$$UV pip install --quiet --python $(BIN)/python --editable '.[dev]' && touch $@

$(DATA)/manifest.csv: | $(READY)
	$(BIN)/lotus phantom sr_microct histology --output $(DATA) $(PHANTOM_$(PRESET))

PHANTOM_quick := --patients 12 --slices 3 --size 384
PHANTOM_paper := --patients 40 --slices 10 --size 1024

$(TEACHER): | $(READY) $(DATA)/manifest.csv
	$(BIN)/lotus fit --config experiments/teacher.yaml --config experiments/$(PRESET)/teacher.yaml \
		--data.init_args.manifest $(DATA)/manifest.csv --run $(PRESET)

train-teacher: $(TEACHER) ## train the histology teacher, unless its checkpoint is there

distill: $(TEACHER) ## teacher, distilled student, predictions, scores and report
	$(BIN)/lotus fit --config experiments/distill.yaml --config experiments/$(PRESET)/distill.yaml \
		--data.init_args.student.init_args.manifest $(DATA)/manifest.csv \
		--data.init_args.teacher.init_args.manifest $(DATA)/manifest.csv \
		--model.init_args.teacher $(TEACHER) --run $(RUN) $(ARGS)
	$(BIN)/lotus test --config runs/distill/$(RUN)/config.yaml
	$(BIN)/lotus report runs/distill/$(RUN)

evaluate: $(READY) ## score the latest distilled student's predictions again
	$(BIN)/lotus evaluate --predictions $(LATEST)predictions --targets $(LATEST)targets --kind instances \
		--output $(LATEST)scores.csv $(ARGS)

report: $(READY) ## write the latest distilled student's report again
	$(BIN)/lotus report $(LATEST)

test: lint ## everything a contributor must pass
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-fast: $(READY) ## the tests that take seconds
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

lint: $(READY) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## ruff's fixes and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## what is fast, side by side with peers
	$(BIN)/python -m benchmarks

clean: ## remove the environment, caches and phantoms; runs stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist data/phantoms-quick data/phantoms-paper .cache
