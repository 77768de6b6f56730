# Cross toolchain for a target of environment.sh: this machine's compiler for TARGET_MACHINE, libraries and headers of the
# older root that wheels are linked in (TARGET_LINK_ROOT), headers of the target's Python (TARGET_HEADERS).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR "$ENV{TARGET_MACHINE}")
set(triplet "$ENV{TARGET_MACHINE}-linux-gnu")
set(CMAKE_LIBRARY_ARCHITECTURE ${triplet})
set(CMAKE_C_COMPILER ${triplet}-gcc)
set(CMAKE_CXX_COMPILER ${triplet}-g++)
set(CMAKE_SYSROOT "$ENV{TARGET_LINK_ROOT}")
set(libraries "-pthread -L${CMAKE_SYSROOT}/usr/lib/gcc/${triplet}/10 -L${CMAKE_SYSROOT}/usr/lib/${triplet} -L${CMAKE_SYSROOT}/lib/${triplet}")
foreach(kind EXE SHARED MODULE)
  set(CMAKE_${kind}_LINKER_FLAGS_INIT "${libraries}")
endforeach()
# That root's libstdc++, not the compiler's own, and no path of this machine in what is built.
set(CMAKE_CXX_FLAGS_INIT "-nostdinc++ -isystem ${CMAKE_SYSROOT}/usr/include/c++/10 \
-isystem ${CMAKE_SYSROOT}/usr/include/${triplet}/c++/10 -isystem $ENV{TARGET_HEADERS} -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE BOTH)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)   # pybind11's configuration lies in the build environment
set(CMAKE_CROSSCOMPILING_EMULATOR "$ENV{TARGET_RUN}")
# The target's interpreter, through its wrapper: CMake wants one of the headers' version.
set(Python_EXECUTABLE "$ENV{TARGET_PYTHON}" CACHE FILEPATH "" FORCE)
set(Python_INCLUDE_DIR "$ENV{TARGET_HEADERS}/python$ENV{TARGET_PYTHON_VERSION}" CACHE PATH "" FORCE)
set(PYTHON_MODULE_EXTENSION "$ENV{SETUPTOOLS_EXT_SUFFIX}" CACHE INTERNAL "")
set(PYTHON_MODULE_DEBUG_POSTFIX "" CACHE INTERNAL "")
set(PYTHON_IS_DEBUG OFF CACHE INTERNAL "")
