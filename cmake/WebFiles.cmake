# Run as a script: writes OUTPUT, C++ that holds every file under FOLDER, for serve/web_files.h. The
# assembler takes the bytes as they are, so that no compiler has to read them as numbers.

file(GLOB_RECURSE files RELATIVE ${FOLDER} ${FOLDER}/*)
list(SORT files)
set(symbols "")
set(table "")
set(index 0)
foreach(file ${files})
  string(APPEND symbols "WEB_FILE(${index}, \"${FOLDER}/${file}\")\n")
  string(APPEND table "      {\"${file}\", bytes(web_file_${index}, web_file_${index}_end)},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE ${OUTPUT} "// Made by cmake/WebFiles.cmake.
#include \"serve/web_files.h\"

#define WEB_FILE(N, PATH)                                                    \\
  __asm__(\".section .rodata\\n\\t.global web_file_\" #N \"\\nweb_file_\" #N       \\
          \":\\n\\t.incbin \\\"\" PATH \"\\\"\\n\\t.global web_file_\" #N \"_end\\n\"      \\
          \"web_file_\" #N \"_end:\\n\\t.byte 0\\n\\t.previous\\n\");                  \\
  extern \"C\" const char web_file_##N[], web_file_##N##_end[];

${symbols}
namespace tigerbot::serve {
namespace {
std::string_view bytes(const char* begin, const char* end) {
  return {begin, static_cast<std::size_t>(end - begin)};
}
}  // namespace

std::span<const WebFile> web_files() {
  static const WebFile kFiles[] = {
${table}  };
  return kFiles;
}
}  // namespace tigerbot::serve
")
