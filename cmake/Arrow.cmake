# Arrow C++ out of its PyPI wheel, which scripts/setup.sh unpacks into the user's cache folder. Only
# the Parquet helper links it; without it TigerBot reads everything else.

set(TIGERBOT_ARROW_VERSION 26.0.1)
set(TIGERBOT_ARROW "" CACHE PATH
    "An existing Arrow from a pyarrow wheel (the folder that holds include/ and libarrow.so.*); empty: the one scripts/setup.sh unpacked; OFF: none")

set(_arrow "${TIGERBOT_ARROW}")
if(_arrow STREQUAL "")
  if(NOT "$ENV{TIGERBOT_CACHE}" STREQUAL "")
    set(_cache "$ENV{TIGERBOT_CACHE}")
  elseif("$ENV{XDG_CACHE_HOME}" MATCHES "^/")
    set(_cache "$ENV{XDG_CACHE_HOME}/tigerbot")
  else()
    set(_cache "$ENV{HOME}/.cache/tigerbot")
  endif()
  set(_arrow "${_cache}/arrow/${TIGERBOT_ARROW_VERSION}/pyarrow")
endif()

file(GLOB _arrow_library ${_arrow}/libarrow.so.*)
file(GLOB _parquet_library ${_arrow}/libparquet.so.*)
if(_arrow_library AND _parquet_library AND EXISTS ${_arrow}/include/parquet/arrow/reader.h)
  add_library(arrow_parquet INTERFACE)
  target_include_directories(arrow_parquet SYSTEM INTERFACE ${_arrow}/include)
  target_link_libraries(arrow_parquet INTERFACE ${_parquet_library} ${_arrow_library})
  target_link_options(arrow_parquet INTERFACE -Wl,-rpath,${_arrow} -Wl,--allow-shlib-undefined)
else()
  message(STATUS "no Arrow at ${_arrow}: Parquet files will not be readable (scripts/setup.sh fetches it)")
endif()
