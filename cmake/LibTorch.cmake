# LibTorch comes out of the PyPI wheel that scripts/setup.sh unpacks into the user's cache folder.
# We link libtorch_cpu and libc10 only; libtorch_cuda is loaded at run time where a GPU is found.

set(TIGERBOT_LIBTORCH_VERSION 2.15.0)
set(_torch "${TIGERBOT_LIBTORCH}")
if(NOT _torch AND NOT "$ENV{TIGERBOT_LIBTORCH}" STREQUAL "")
  set(_torch "$ENV{TIGERBOT_LIBTORCH}")
endif()
if(NOT _torch)
  if(NOT "$ENV{TIGERBOT_CACHE}" STREQUAL "")
    set(_cache "$ENV{TIGERBOT_CACHE}")
  elseif("$ENV{XDG_CACHE_HOME}" MATCHES "^/")
    set(_cache "$ENV{XDG_CACHE_HOME}/tigerbot")
  else()
    set(_cache "$ENV{HOME}/.cache/tigerbot")
  endif()
  set(_torch "${_cache}/libtorch/${TIGERBOT_LIBTORCH_VERSION}/torch")
endif()
if(NOT EXISTS ${_torch}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "no LibTorch at ${_torch}: run scripts/setup.sh, or give -DTIGERBOT_LIBTORCH=DIR")
endif()

find_package(OpenMP REQUIRED COMPONENTS CXX)

# LibTorch's own OpenMP runtime: two runtimes in one process would mean two thread pools.
file(GLOB _torch_gomp ${_torch}/lib/libgomp*.so*)

# LibTorch's include folder carries another version of fmt; ours, the system's, must be found first.
find_package(fmt REQUIRED)
find_path(_fmt_include fmt/core.h PATHS /usr/include NO_DEFAULT_PATH REQUIRED)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/include_first)
file(CREATE_LINK ${_fmt_include}/fmt ${CMAKE_BINARY_DIR}/include_first/fmt SYMBOLIC)

add_library(libtorch INTERFACE)
target_include_directories(libtorch BEFORE INTERFACE ${CMAKE_BINARY_DIR}/include_first)
target_include_directories(libtorch SYSTEM INTERFACE
  ${_torch}/include ${_torch}/include/torch/csrc/api/include)
target_compile_options(libtorch INTERFACE -fopenmp)
target_link_libraries(libtorch INTERFACE ${_torch}/lib/libtorch_cpu.so ${_torch}/lib/libc10.so)
if(_torch_gomp AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_link_libraries(libtorch INTERFACE ${_torch_gomp})
else()
  target_link_libraries(libtorch INTERFACE OpenMP::OpenMP_CXX)
endif()
# The wheel's CUDA run-time libraries lie beside it; libtorch_cpu names two of them even on a CPU machine.
set(_nvidia ${_torch}/../nvidia)
target_link_options(libtorch INTERFACE
  -Wl,--disable-new-dtags -Wl,--allow-shlib-undefined
  -Wl,-rpath,${_torch}/lib -Wl,-rpath,${_nvidia}/cu13/lib)
