# Which engine the extension is built against: PyPI's MNN wheel (default) or an MNN SDK (MNN_ROOT).
# Both give the same two targets; the sources do not know which one it was.
#   mnnlite_engine_provider   declarations to include, and for an SDK the library to link
#   mnnlite_engine_abi        the string ABI that everything in _core is compiled with
find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
set(MNNLITE_ENGINE "" CACHE FILEPATH "The engine's shared library, to check symbols against (found if empty)")

add_library(mnnlite_engine_provider INTERFACE)
add_library(mnnlite_engine_abi INTERFACE)

if(MNN_ROOT)
  set(MNNLITE_PROVIDER sdk)
  find_library(MNN_LIBRARY MNN PATHS "${MNN_ROOT}/lib" "${MNN_ROOT}" NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH REQUIRED)
  find_path(MNN_INCLUDE MNN/Interpreter.hpp PATHS "${MNN_ROOT}/include" NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH REQUIRED)
  target_include_directories(mnnlite_engine_provider SYSTEM INTERFACE "${MNN_INCLUDE}")
  # By name, not by path: a library without a SONAME would be recorded with the path it has on this machine.
  get_filename_component(MNN_LIBRARY_DIR "${MNN_LIBRARY}" DIRECTORY)
  target_link_directories(mnnlite_engine_provider INTERFACE "${MNN_LIBRARY_DIR}")
  target_link_libraries(mnnlite_engine_provider INTERFACE MNN)
  set(CMAKE_INSTALL_RPATH "${MNN_LIBRARY_DIR}")  # LD_LIBRARY_PATH where the SDK lies elsewhere on the device
  set(engine "${MNN_LIBRARY}")
else()
  set(MNNLITE_PROVIDER wheel)
  target_include_directories(mnnlite_engine_provider INTERFACE "${PROJECT_SOURCE_DIR}/third_party/mnn/include")
  set(engine "${MNNLITE_ENGINE}")
  if(NOT engine)
    execute_process(
      COMMAND "${Python_EXECUTABLE}" -c "import importlib.util as u; print(u.find_spec('_mnncengine').origin)"
      OUTPUT_VARIABLE engine OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
    if(failed)
      message(FATAL_ERROR "No engine to check against: install the package MNN into the build environment, "
                          "or pass -DMNNLITE_ENGINE=<_mnncengine*.so of the target> (cross build), or -DMNN_ROOT=<SDK prefix>.")
    endif()
  endif()
endif()
set(MNNLITE_ENGINE_LIBRARY "${engine}")

# The string ABI is read from the engine: a function that returns std::string& carries the tag B5cxx11 in the new one.
execute_process(COMMAND "${CMAKE_NM}" -D --defined-only "${engine}" OUTPUT_VARIABLE exported RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "Cannot read the symbols of the engine ${engine}")
endif()
if(exported MATCHES "_ZNK3MNN12OperatorInfo4nameB5cxx11Ev")
  set(MNNLITE_STRING_ABI 1)
elseif(exported MATCHES "_ZNK3MNN12OperatorInfo4nameEv")
  set(MNNLITE_STRING_ABI 0)
else()
  message(FATAL_ERROR "${engine} does not export MNN::OperatorInfo::name: not an MNN engine with its C++ API")
endif()
target_compile_definitions(mnnlite_engine_abi INTERFACE _GLIBCXX_USE_CXX11_ABI=${MNNLITE_STRING_ABI})
message(STATUS "Engine: ${engine} (${MNNLITE_PROVIDER}, string ABI ${MNNLITE_STRING_ABI})")

# Fail the build unless the engine exports every MNN symbol that `target` leaves undefined, and write
# those symbols to _build.py, which the loader checks again on the machine of use.
function(mnnlite_check_engine_symbols target)
  add_custom_command(TARGET ${target} POST_BUILD
    COMMAND "${Python_EXECUTABLE}" "${PROJECT_SOURCE_DIR}/tools/engine_symbols.py" --nm "${CMAKE_NM}"
            --extension "$<TARGET_FILE:${target}>" --engine "${MNNLITE_ENGINE_LIBRARY}"
            --provider ${MNNLITE_PROVIDER} --string-abi ${MNNLITE_STRING_ABI}
            --write "${CMAKE_CURRENT_BINARY_DIR}/_build.py"
    VERBATIM)
endfunction()
