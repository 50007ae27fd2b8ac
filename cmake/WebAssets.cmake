# The web page goes into the program: each file compressed, in one assembly file that includes the
# bytes, beside a table of names. A script at build time, so that a changed page needs no new configure.
#
#   cmake -DOUTPUT=DIR -DPAGE=DIR -P WebAssets.cmake

if(CMAKE_SCRIPT_MODE_FILE)
  set(files
    index.html style.css icon.svg app.js completions.js conversation.js languages.js markup.js message_view.js
    storage.js openapi.json)
  set(katex_fonts
    AMS-Regular Caligraphic-Bold Caligraphic-Regular Fraktur-Bold Fraktur-Regular Main-Bold Main-BoldItalic
    Main-Italic Main-Regular Math-BoldItalic Math-Italic SansSerif-Bold SansSerif-Italic SansSerif-Regular
    Script-Regular Size1-Regular Size2-Regular Size3-Regular Size4-Regular Typewriter-Regular)

  set(assets)
  foreach(file IN LISTS files)
    list(APPEND assets "${file}|${PAGE}/${file}")
  endforeach()
  list(APPEND assets
    "lib/marked.min.js|/usr/share/javascript/marked/marked.min.js"
    "lib/purify.min.js|/usr/share/nodejs/dompurify/dist/purify.min.js"
    "lib/highlight.min.js|/usr/share/javascript/highlight.js/highlight.min.js"
    "lib/katex.min.js|/usr/share/javascript/katex/katex.min.js"
    "lib/katex.min.css|/usr/share/javascript/katex/katex.min.css")
  foreach(font IN LISTS katex_fonts)
    list(APPEND assets
      "lib/fonts/KaTeX_${font}.woff2|/usr/share/fonts/truetype/katex/KaTeX_${font}.woff2")
  endforeach()

  file(MAKE_DIRECTORY ${OUTPUT}/web)
  set(assembly ".section .rodata\n")
  set(rows "")
  set(declarations "")
  set(number 0)
  foreach(asset IN LISTS assets)
    string(REPLACE "|" ";" asset "${asset}")
    list(GET asset 0 name)
    list(GET asset 1 source)
    if(NOT EXISTS ${source})
      message(FATAL_ERROR "${source} is missing; scripts/setup.sh installs the packages it is part of")
    endif()
    file(REAL_PATH ${source} source)  # packages link versions to names
    set(compressed ${OUTPUT}/web/${number}.gz)
    file(ARCHIVE_CREATE OUTPUT ${compressed} PATHS ${source} FORMAT raw COMPRESSION GZip)
    file(SHA256 ${source} hash)
    string(SUBSTRING ${hash} 0 16 hash)
    get_filename_component(extension ${name} LAST_EXT)
    if(extension STREQUAL ".html")
      set(type "text/html; charset=utf-8")
    elseif(extension STREQUAL ".css")
      set(type "text/css; charset=utf-8")
    elseif(extension STREQUAL ".js")
      set(type "text/javascript; charset=utf-8")
    elseif(extension STREQUAL ".json")
      set(type "application/json")
    elseif(extension STREQUAL ".svg")
      set(type "image/svg+xml")
    else()
      set(type "font/woff2")
    endif()
    string(APPEND assembly
      ".global tigerbot_web_${number}\n.global tigerbot_web_${number}_end\n"
      "tigerbot_web_${number}:\n.incbin \"${compressed}\"\ntigerbot_web_${number}_end:\n.byte 0\n")
    string(APPEND declarations
      "extern const char tigerbot_web_${number}[];\nextern const char tigerbot_web_${number}_end[];\n")
    string(APPEND rows
      "    {\"${name}\", \"${type}\", \"\\\"${hash}\\\"\",\n"
      "     {tigerbot_web_${number}, static_cast<std::size_t>(tigerbot_web_${number}_end - tigerbot_web_${number})}},\n")
    math(EXPR number "${number} + 1")
  endforeach()
  # Without this the linker would take the stack for executable.
  string(APPEND assembly ".section .note.GNU-stack,\"\",%progbits\n")
  file(WRITE ${OUTPUT}/web_asset_bytes.S "${assembly}")
  file(WRITE ${OUTPUT}/web_asset_table.cpp
    "#include \"serve/web/web_asset_table.h\"\n\n#include <cstddef>\n\nextern \"C\" {\n${declarations}}\n\n"
    "namespace tigerbot::serve {\n\nstd::span<const WebAsset> web_asset_table() {\n"
    "  static const WebAsset kAssets[] = {\n${rows}  };\n  return kAssets;\n}\n\n}  // namespace tigerbot::serve\n")
  return()
endif()

# tigerbot_web_assets(TARGET): the page of src/serve/web becomes part of TARGET.
function(tigerbot_web_assets target)
  file(GLOB page CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/web/*.html ${CMAKE_CURRENT_SOURCE_DIR}/web/*.css
    ${CMAKE_CURRENT_SOURCE_DIR}/web/*.js ${CMAKE_CURRENT_SOURCE_DIR}/web/*.svg ${CMAKE_CURRENT_SOURCE_DIR}/web/*.json)
  set(output ${CMAKE_CURRENT_BINARY_DIR})
  add_custom_command(
    OUTPUT ${output}/web_asset_bytes.S ${output}/web_asset_table.cpp
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DPAGE=${CMAKE_CURRENT_SOURCE_DIR}/web
            -P ${CMAKE_SOURCE_DIR}/cmake/WebAssets.cmake
    DEPENDS ${page} ${CMAKE_SOURCE_DIR}/cmake/WebAssets.cmake
    COMMENT "Packing the web page")
  target_sources(${target} PRIVATE ${output}/web_asset_bytes.S ${output}/web_asset_table.cpp)
  target_link_libraries(${target} PUBLIC ZLIB::ZLIB)
endfunction()
