# One static library a folder of src/, so that the arrows between folders are the linker's arrows too.

# tigerbot_folder(NAME LINK ...): library tigerbot_NAME of every source under the current folder.
function(tigerbot_folder name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/helpers/")  # programs of their own
  add_library(tigerbot_${name} STATIC ${sources})
  target_include_directories(tigerbot_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(tigerbot_${name} PUBLIC ${ARG_LINK})
endfunction()

# tigerbot_test(NAME LINK ...): test program test_NAME of every source under the current folder.
function(tigerbot_test name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${name} ${sources})
  target_link_libraries(test_${name} PRIVATE ${ARG_LINK} GTest::gtest GTest::gtest_main)
  target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_compile_definitions(test_${name} PRIVATE TIGERBOT_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    TIGERBOT_BINARY_DIR="${CMAKE_BINARY_DIR}")
  add_test(NAME ${name} COMMAND test_${name})
endfunction()
