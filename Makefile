# The one way to build, check and try Nightbell. `make help` lists the targets.
# CARGO_TARGET_DIR is honoured everywhere.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup build release demo test lint unit e2e fuzz soak deny bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what the checks need (quick when it stands)
	@scripts/setup

build: ## build the program for development
	@cargo build --workspace

release: ## build the program for use
	@cargo build --release -p nightbell-server

demo: ## see it work: a server, two attacks, two mails; leaves nothing behind
	@cargo run --quiet --release -p nightbell-server -- demo

test: ## everything that must hold before a change lands
	@scripts/setup
	@scripts/gate

lint: setup ## formatting, lints, licences
	@scripts/gate fmt clippy doc deny

unit: ## the crates' own tests
	@scripts/gate unit

e2e: setup ## the real program, spoken to by real AWS clients and a real mail server
	@scripts/gate build e2e

fuzz: setup ## every fuzz target for FUZZ_SECONDS (default 60) each
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-60} scripts/gate fuzz

soak: ## crash, fail and damage the store for SOAK_SECONDS (default 600) with new seeds
	@NIGHTBELL_SOAK_SECONDS=$${SOAK_SECONDS:-600} NIGHTBELL_SEED=$${NIGHTBELL_SEED:-$$RANDOM} \
	  cargo test --locked -p nightbell-store --test store -- --nocapture points:: faults:: damage::

deny: setup ## licences, bans and sources of the dependencies
	@scripts/gate deny

bench: setup ## measure matching, reading, storing and the whole way on this machine (some minutes)
	@scripts/bench

clean: ## remove what the checks made
	@cargo clean
	@rm -rf .venv tests/js/node_modules fuzz/target fuzz/artifacts fuzz/corpus
