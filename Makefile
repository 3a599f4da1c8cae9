# Every target that needs .venv first makes it, again only when pyproject.toml has changed.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

PRESET ?= $(if $(shell command -v nvidia-smi 2>/dev/null),paper,quick)
DATA ?= data/phantoms-$(PRESET)
STUDENT ?= sr_microct
TEACHER ?= histology
TEACHER_RUN ?= $(notdir $(patsubst %/,%,$(DATA)))-$(PRESET)
TEACHER_CHECKPOINT ?= runs/teacher/$(TEACHER_RUN)/checkpoints/best.ckpt
RUN := $(or $(RUN),$(PRESET)-$(shell date +%Y%m%d-%H%M%S))
LATEST = $(patsubst %/,%,$(shell ls -td runs/distill/*/ 2>/dev/null | head -n 1))
ARGS ?=
TEACHER_ARGS ?=

# glibc gives large blocks back to the system after every step; keeping them halves a CPU step.
export MALLOC_TRIM_THRESHOLD_ := 100000000000
export MALLOC_MMAP_THRESHOLD_ := 100000000000
export MALLOC_TOP_PAD_ := 500000000
# Compiled modules are kept, even where the surroundings say otherwise: jobs and tests start many
# Pythons, and each would compile the project and the tests anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup train-teacher distill classify porosity histomorphometry table1 ablation evaluate report test test-fast lint format bench clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^#]*##/\1|/' | column -t -s '|'
	@echo "variables: PRESET=quick|brief|paper  DATA=folder with a manifest.csv  STUDENT, TEACHER=its modalities"
	@echo "           RUN=name  FOLDS=number or pairs  ARGS, TEACHER_ARGS='--KEY VALUE ...' for \`lotus fit\`"

setup: $(READY) ## the environment in .venv, without doing anything with it

$(READY): pyproject.toml
	@command -v uv >/dev/null || $(PYTHON) -m uv --version >/dev/null 2>&1 || $(PYTHON) -m pip install --quiet uv \
		|| $(PYTHON) -m pip install --quiet --user --break-system-packages uv
	@UV=$$(command -v uv || echo "$(PYTHON) -m uv"); \
		$$UV venv --quiet --clear --python $(PYTHON) $(VENV) && \
		$$UV pip install --quiet --compile-bytecode --python $(BIN)/python --editable '.[dev,cluster,cellpose,pretraining]' && touch $@

PHANTOMS_quick := --patients 12 --slices 3 --size 384
PHANTOMS_brief := $(PHANTOMS_quick)
PHANTOMS_paper := --patients 40 --slices 10 --size 1024

ifeq ($(origin DATA),file)
$(DATA)/manifest.csv: | $(READY)
	$(BIN)/lotus phantom sr_microct histology --output $(DATA) $(PHANTOMS_$(PRESET))
else
$(DATA)/manifest.csv:
	@echo "no $@: write it with \`$(BIN)/lotus prepare\`, or leave DATA out to use phantoms" >&2; exit 2
endif

$(TEACHER_CHECKPOINT): | $(READY) $(DATA)/manifest.csv
	$(BIN)/lotus fit --config experiments/lotus/teacher.yaml --config experiments/lotus/$(PRESET)/teacher.yaml \
		--data.init_args.manifest $(DATA)/manifest.csv --data.init_args.modality $(TEACHER) \
		--run $(TEACHER_RUN) $(TEACHER_ARGS)

train-teacher: $(TEACHER_CHECKPOINT) ## train the teacher, unless its checkpoint is there

distill: $(TEACHER_CHECKPOINT) ## teacher, distilled student, predictions, scores and report
	$(BIN)/lotus fit --config experiments/lotus/distill.yaml --config experiments/lotus/$(PRESET)/distill.yaml \
		--data.init_args.student.init_args.manifest $(DATA)/manifest.csv \
		--data.init_args.student.init_args.modality $(STUDENT) \
		--data.init_args.teacher.init_args.manifest $(DATA)/manifest.csv \
		--data.init_args.teacher.init_args.modality $(TEACHER) \
		--model.init_args.teacher $(TEACHER_CHECKPOINT) --run $(RUN) $(ARGS)
	$(BIN)/lotus test --config runs/distill/$(RUN)/config.yaml
	$(BIN)/lotus report runs/distill/$(RUN)

table1 ablation: | $(READY) $(DATA)/manifest.csv
	$(BIN)/lotus study experiments/studies/$@.yaml --run $(RUN) --set data=$(DATA)/manifest.csv \
		student=$(STUDENT) teacher=$(TEACHER) preset=$(PRESET) $(ARGS)

CLASSIFIED := $(if $(filter file,$(origin DATA)),data/diagnoses-$(PRESET),$(DATA))
DIAGNOSES_quick := --patients 12 --slices 4 --size 384 --labelled-slices 2
DIAGNOSES_paper := --patients 12 --slices 40 --size 2048 --labelled-slices 4
# The published networks with weights of ImageNet; the joint one has as many parameters as U-Net and
# VGG16 together.
CLASSIFY_paper := encoder=vgg16 encoder_decoder=[256,128,64,32,16] encoder_samples=null \
	vgg=vgg16 resnet=resnet50 alexnet_units=4096 joint_decoder=[896,640,320,160,80] pretrained=true explained=20
FOLDS ?= $(if $(filter paper,$(PRESET)),pairs,2)

data/diagnoses-$(PRESET)/manifest.csv: | $(READY)
	$(BIN)/lotus phantom sr_microct --output $(@D) --groups healthy osteoporotic --differ lacunae \
		$(DIAGNOSES_$(PRESET))

classify: | $(READY) $(CLASSIFIED)/manifest.csv ## slices to diagnoses: segmentation, mask-guided attention, baselines
	$(BIN)/lotus study experiments/studies/mga.yaml --run $(RUN) --folds $(FOLDS) --processes 2 \
		--set data=$(CLASSIFIED)/manifest.csv preset=$(PRESET) $(CLASSIFY_$(PRESET)) $(ARGS)

NANOCT := data/nanoct-$(PRESET)
NANOCT_quick := --shape 128 128 128
NANOCT_paper := --shape 420 512 512
SEEDS ?= $(if $(filter paper,$(PRESET)),1 2 3,1)
POROSITY_paper := crops=null smallest=100 closing=1 canaliculus=0.8

$(NANOCT)/manifest.csv: | $(READY)
	$(BIN)/lotus phantom zernike_nanoct --output $(@D) --processes 2 $(NANOCT_$(PRESET))

$(NANOCT)-p05/manifest.csv: | $(READY)
	$(BIN)/lotus phantom zernike_nanoct --beamline p05 --output $(@D) --processes 2 $(NANOCT_$(PRESET))

porosity: | $(READY) $(NANOCT)/manifest.csv $(NANOCT)-p05/manifest.csv ## volumes to measures of pores: Sensor3D, U-Nets, Fig. 5, another beamline
	$(BIN)/lotus study experiments/studies/porosity.yaml --run $(RUN) --seeds $(SEEDS) --processes 2 \
		--set preset=$(PRESET) data=$(NANOCT)/manifest.csv other_data=$(NANOCT)-p05/manifest.csv \
		volume=$(NANOCT)/zernike_nanoct/images/anatomix-01.ome.tif \
		labels=$(NANOCT)/zernike_nanoct/labels/anatomix-01.tif \
		other_volume=$(NANOCT)-p05/zernike_nanoct/images/p05-01.ome.tif \
		other_labels=$(NANOCT)-p05/zernike_nanoct/labels/p05-01.tif $(POROSITY_$(PRESET)) $(ARGS)

ROIS := $(if $(filter file,$(origin DATA)),data/rois-$(PRESET),$(DATA))
ROIS_quick := --patients 12 --slices 2 --size 448
ROIS_paper := --patients 40 --slices 10 --size 2048
COMMA := ,
# Of phantoms only, whose measures are known by construction.
TRUTH := $(if $(filter file,$(origin DATA)),truth=[$(ROIS)/fluorescence/truth.csv$(COMMA)$(ROIS)/trichrome/truth.csv])
HISTOMORPHOMETRY_paper := tile=224 region=448 unlabelled=null

data/rois-$(PRESET)/manifest.csv: | $(READY)
	$(BIN)/lotus phantom fluorescence trichrome --output $(@D) $(ROIS_$(PRESET))

histomorphometry: | $(READY) $(ROIS)/manifest.csv ## ROIs to histomorphometry: tiles, pretraining, both heads, measures
	$(BIN)/lotus study experiments/studies/histomorphometry.yaml --run $(RUN) \
		--folds $(if $(filter file,$(origin FOLDS)),$(if $(filter paper,$(PRESET)),5,2),$(FOLDS)) --processes 2 \
		--set data=$(ROIS)/manifest.csv preset=$(PRESET) $(TRUTH) $(HISTOMORPHOMETRY_$(PRESET)) $(ARGS)

table1: ## the methods of the paper's Table 1, cross-validated on the same five folds, as a table
ablation: ## the six rows of the paper's Table 2, likewise

evaluate: $(READY) ## score the predictions of the latest distilled student again
	$(BIN)/lotus evaluate --predictions $(LATEST)/predictions --targets $(LATEST)/targets \
		--kind instances --output $(LATEST)/scores.csv $(ARGS)

report: $(READY) ## write the report of the latest distilled student again
	$(BIN)/lotus report $(LATEST)

# Three workers on two cores: tests of processes and clusters wait for much of their time.
test: lint ## everything a contributor must pass
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

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
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist data/phantoms-{quick,brief,paper} data/diagnoses-{quick,paper} data/nanoct-{quick,paper}{,-p05} data/rois-{quick,paper} .cache
