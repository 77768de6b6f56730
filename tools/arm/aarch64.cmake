# Cross toolchain: Debian's g++-aarch64-linux-gnu and the arm64 root that tools/arm/run.sh unpacks (ARM_ROOT).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_SYSROOT "$ENV{ARM_ROOT}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)   # pybind11's configuration lies in the build environment
set(CMAKE_CROSSCOMPILING_EMULATOR "$ENV{ARM_QEMU};-L;$ENV{ARM_ROOT}")
# The host's interpreter runs the build; headers and file name are the target's.
set(Python_INCLUDE_DIR "$ENV{ARM_ROOT}/usr/include/python$ENV{ARM_PYTHON_VERSION}" CACHE PATH "" FORCE)
set(PYTHON_MODULE_EXTENSION "$ENV{SETUPTOOLS_EXT_SUFFIX}" CACHE INTERNAL "")
set(PYTHON_MODULE_DEBUG_POSTFIX "" CACHE INTERNAL "")
set(PYTHON_IS_DEBUG OFF CACHE INTERNAL "")
