# Each target does all its own set-up in .venv and build/. What must be on the machine before is in tools/apt.txt.
# Parts of `make test` are targets of their own; ARGS goes to pytest (make py ARGS="-k resize").
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(shell nproc)
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
PINS := tools/constraints.txt
unexport PYTHONPATH PYTHONHOME

SOURCES := CMakeLists.txt pyproject.toml README.md LICENSE tools/engine_symbols.py \
	$(shell find csrc cmake mnnlite third_party -type f ! -name '*.pyc' ! -name '.*')

.PHONY: help test cpp tsan py lint types format clean-room clean prerequisites

help:
	@echo "make test         all tests: C++ rooms under sanitizers, the installed wheel, lint, types"
	@echo "make cpp | tsan   only the C++ rooms, under ASan and UBSan | under TSan"
	@echo "make py           only the Python suite against the installed wheel (ARGS=... goes to pytest)"
	@echo "make lint types   only ruff | only mypy and the stubs"
	@echo "make format       let ruff format and fix"
	@echo "make clean-room   copy the tree to an empty folder with a fresh HOME and a plain PATH and test there"

test: cpp tsan py lint types

prerequisites:
	@sh tools/prerequisites.sh "$(PYTHON)"

# The C++ rooms, without Python and without MNN ------------------------------------------------------------------
CPP := -DMNNLITE_PYTHON=OFF -DMNNLITE_TESTS=ON -DMNNLITE_DEV=ON -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-g -O1"

cpp: prerequisites
	cmake -S . -B build/asan $(CPP) -DMNNLITE_SANITIZE=address,undefined --log-level=WARNING
	cmake --build build/asan
	ctest --test-dir build/asan --output-on-failure

tsan: prerequisites
	cmake -S . -B build/tsan $(CPP) -DMNNLITE_SANITIZE=thread --log-level=WARNING
	cmake --build build/tsan
	ctest --test-dir build/tsan --output-on-failure

# The wheel ------------------------------------------------------------------------------------------------------
.venv/.created: | prerequisites
	$(PYTHON) -m venv .venv
	$(PIP) install --upgrade "pip>=25.1"
	@touch $@

.venv/.dependencies: pyproject.toml $(PINS) .venv/.created
	$(PIP) install -c $(PINS) --group build --group test --group lint
	@touch $@

# Without build isolation, so that a second build is incremental; tests/package builds the other way as well.
.venv/.wheel: $(SOURCES) .venv/.dependencies
	rm -rf build/wheel
	$(PIP) wheel --no-build-isolation --no-deps -Ccmake.define.MNNLITE_DEV=ON -Cbuild-dir=build/dev -w build/wheel .
	$(PIP) install -c $(PINS) --force-reinstall --no-deps build/wheel/*.whl
	$(PIP) install -c $(PINS) build/wheel/*.whl
	@touch $@

# A copy of the tests runs, so that `import mnnlite` can only mean the installed wheel.
SUITE := build/suite
py: .venv/.wheel
	@rm -rf $(SUITE)/tests && mkdir -p $(SUITE) && cp -r pyproject.toml tests $(SUITE)/
	cd $(SUITE) && MNNLITE_CHECKOUT="$(CURDIR)" "$(CURDIR)/$(BIN)/pytest" $(ARGS)

lint: .venv/.dependencies
	$(BIN)/ruff check -q .
	$(BIN)/ruff format -q --check .

types: .venv/.wheel
	$(BIN)/mypy
	cd build/wheel && ../../$(BIN)/python -m mypy.stubtest mnnlite._core --allowlist ../../tools/stubtest-allow.txt

format: .venv/.dependencies
	$(BIN)/ruff check -q --fix .
	$(BIN)/ruff format -q .

clean-room:
	@sh tools/clean_room.sh "$(CURDIR)"

clean:
	rm -rf .venv build dist
