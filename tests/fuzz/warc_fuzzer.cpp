#include "data/readers/warc.h"
#include "reader_checks.h"

// Whatever the bytes are, documents are valid UTF-8 with rising offsets, and the same in whatever
// pieces the bytes come.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  tigerbot::data::check_reader(tigerbot::data::warc_reader,
                               {reinterpret_cast<const char*>(data), size});
  return 0;
}
