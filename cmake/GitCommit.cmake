# Run at each build as a script: writes OUTPUT (a header) with the commit of SOURCE_DIR, and only if
# it changed, so that a commit recompiles one small file and nothing else.

set(commit unknown)
find_program(git git)
if(git)
  execute_process(COMMAND ${git} -C ${SOURCE_DIR} describe --always --dirty --abbrev=12 --exclude=*
    OUTPUT_VARIABLE described RESULT_VARIABLE status ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(status EQUAL 0)
    set(commit ${described})
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#pragma once\n#define TIGERBOT_GIT_COMMIT \"${commit}\"\n")
