# Each target does all its own set-up. What must be on the machine before is in tools/apt.txt.
.DEFAULT_GOAL := help
.PHONY: help test

help:
	@echo "make test   run all tests"

test:
	cmake -S . -B build/cpp -DMNNLITE_PYTHON=OFF -DMNNLITE_TESTS=ON -DMNNLITE_DEV=ON -DCMAKE_BUILD_TYPE=Debug -DMNNLITE_SANITIZE=address,undefined
	cmake --build build/cpp -j2
	ctest --test-dir build/cpp --output-on-failure
