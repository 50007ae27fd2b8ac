# Compiler flags, ccache, a fast linker and sanitizers: everything about how we compile, not what.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(TIGERBOT_CCACHE ccache)
if(TIGERBOT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${TIGERBOT_CCACHE})
endif()

find_program(TIGERBOT_MOLD mold)
if(TIGERBOT_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# The tree runs on any x86-64 machine since 2013; the hot loops choose their instruction set at run time.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_compile_options(-march=x86-64-v2 -mtune=generic)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")
add_compile_options(-Wall -Wextra)
# Warnings are errors with the compilers we know; a newer one may warn of what these do not.
if((CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13) OR
   (CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 15))
  add_compile_options(-Werror)
endif()
add_compile_options(-Wno-unknown-pragmas)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports false positives of these through the standard library, fmt and immintrin.h.
  add_compile_options(-Wno-restrict -Wno-uninitialized -Wno-maybe-uninitialized -Wno-psabi -Wno-stringop-overflow -Wno-array-bounds)
  if(CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
    add_compile_options(-Wno-dangling-reference)
  endif()
endif()

if(TIGERBOT_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # LibTorch brings no type information for its vtables.
    add_compile_options(-fno-sanitize=vptr)
  endif()
endif()
if(TIGERBOT_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "TIGERBOT_FUZZ needs clang: configure with the fuzz preset")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
