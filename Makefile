# Two commands to start with: `make book` builds the site, `make test` proves everything.
# Paths below are relative to this folder, so that its own path may hold spaces.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.NOTPARALLEL:

PYTHON ?= python3
JOBS ?= 2
RUN := .venv/bin/python
PORT ?= 8000
# A new requirements.txt has a new checksum: the stamp of the old one no longer counts.
STAMP := .venv/installed-$(shell cksum < requirements.txt | cut -d ' ' -f 1)
PIP := $(RUN) -m pip --disable-pip-version-check install -q

# A relative SCENE or HSISR_DATA means: from the folder make was called in. That is PWD after
# `make -C` (which sets the flag w), else this folder. An existing path becomes absolute, anything
# else is passed on as it is: a scene's name.
CALLED_IN := $(if $(findstring w,$(firstword -$(MAKEFLAGS))),$(PWD),$(CURDIR))
absolute = $(shell for base in '$(CALLED_IN)' '$(PWD)' '$(CURDIR)'; do \
	if cd "$$base" 2>/dev/null && [ -e '$(1)' ]; then \
	case '$(1)' in (/*) printf %s '$(1)';; (*) printf %s "$$base/$(1)";; esac; exit; fi; done)
ifneq ($(strip $(SCENE)),)
override SCENE := $(or $(call absolute,$(SCENE)),$(SCENE))
endif
ifneq ($(strip $(HSISR_DATA)),)
override HSISR_DATA := $(or $(call absolute,$(HSISR_DATA)),$(error HSISR_DATA names no folder: $(HSISR_DATA)))
export HSISR_DATA
endif

.PHONY: help book test test-fast notebooks lab serve student test-gpu clean \
	lint units check test-notebooks site test-site scene-site

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

# SCENE decides what a book is made of: the committed outputs, or a run of every chapter.
book: $(if $(strip $(SCENE)),scene-site,site)  ## the site in _build/html; SCENE=<name or path>: a second one, of all chapters on that scene

test: $(STAMP) lint units check test-notebooks test-site  ## everything: lint, units, chapters, site

test-fast: $(STAMP)  ## the units alone, in a few minutes
	$(RUN) -m pytest -q -n $(JOBS) --dist loadfile hsisr_lite tests/unit

notebooks: $(STAMP)  ## re-execute the chapters whose outputs are stale; ALL=1 for every one
	$(RUN) tools/run_notebooks.py --jobs $(JOBS) $(if $(ALL),--all)

lab: $(STAMP)  ## open the chapters in JupyterLab
	$(RUN) -m jupyterlab notebooks

serve: $(STAMP)  ## show the built site; says the address
	@test -f _build/html/index.html || { echo "No site yet: run make book first." >&2; exit 2; }
	@echo "The book: http://127.0.0.1:$(PORT)/ (stop with Ctrl-C)"
	@$(RUN) -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

student: $(STAMP)  ## the chapters without solutions, in _build/student
	$(RUN) tools/student.py

test-gpu:  ## every chapter on the GPU in the interpreter PYTHON=...; writes results/gpu.json
	@$(PYTHON) tools/nbval_run.py --gpu

clean:  ## remove everything that was built, the environment too
	rm -rf _build .venv .pytest_cache .ruff_cache

# The parts of `make test`.

lint: $(STAMP)
	$(RUN) -m ruff check .

# Side by side, each process keeps to one core: more threads than cores wait for one another.
units test-fast: export OMP_NUM_THREADS = 1
units: $(STAMP)
	$(RUN) -m pytest -q -n $(JOBS) --dist loadfile hsisr_lite tests/unit tests/parity
	$(RUN) -m pytest -q -n $(JOBS) --dist worksteal tests/notebooks

check: $(STAMP)
	$(RUN) tools/run_notebooks.py --check

test-notebooks: $(STAMP)
	$(RUN) tools/nbval_run.py

site: $(STAMP) check student
	$(RUN) tools/build_site.py

test-site: site
	$(RUN) -m pytest -q -n $(JOBS) --dist loadscope tests/site

scene-site: $(STAMP)
	$(RUN) tools/build_site.py --scene '$(SCENE)' --jobs $(JOBS)

# torch first and alone: the build chosen for this machine is the one that stays.
$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else \
	"Python 3.11 to 3.13 is needed; name one: make book PYTHON=python3.12")'
	@echo "Installing the pinned packages into .venv (a minute, plus downloads)"
	@$(PYTHON) -m venv --clear .venv
	$(PIP) "$$(grep -m 1 '^torch==' requirements.txt)"
	$(PIP) -r requirements.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $(STAMP)
