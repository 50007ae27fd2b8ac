#include "data/dedup/fingerprint.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "data/dedup/folded_text.h"

namespace tigerbot::data {
namespace {

constexpr std::string_view kMagic = "TBFPRT2\n";

/// The file is the fingerprints, the paragraphs, then this.
struct Footer {
  std::uint64_t documents = 0, paragraphs = 0;
  std::uint32_t has_sketches = 0, has_paragraphs = 0;
  char magic[8] = {};
};

template <typename T>
std::string_view bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(T)};
}

Hash128 hash_of(std::u16string_view folded) {
  return hash128({reinterpret_cast<const char*>(folded.data()), folded.size() * sizeof(char16_t)});
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

struct FingerprintWriter::State {
  AtomicFile file;
  FingerprintSettings settings;
  std::u16string folded, letters;
  std::vector<std::uint64_t> scratch;
  std::vector<ParagraphFingerprint> paragraphs;
  std::uint64_t documents = 0;
};

FingerprintWriter::FingerprintWriter(const std::filesystem::path& path,
                                     const FingerprintSettings& settings)
    : state_(new State{AtomicFile(path), settings, {}, {}, {}, {}, 0}) {}

FingerprintWriter::~FingerprintWriter() = default;

void FingerprintWriter::append(const Document& document) {
  State& state = *state_;
  Fingerprint fingerprint;
  fold_text(document.text, state.folded);
  fingerprint.hash = hash_of(state.folded);
  const auto quality = document.scores.find("quality");
  if (quality != document.scores.end() && std::isfinite(quality->second))
    fingerprint.quality = static_cast<float>(quality->second);
  if (state.settings.sketch) {
    keep_letters(state.folded, state.letters);
    fingerprint.letters = static_cast<std::uint32_t>(
        std::min<std::size_t>(state.letters.size(), std::numeric_limits<std::uint32_t>::max()));
    fingerprint.sketch = make_sketch(state.letters, state.scratch);
  }
  if (state.settings.paragraphs) {
    std::uint32_t number = 0;
    for (const std::string_view paragraph : split_paragraphs(document.text)) {
      fold_text(paragraph, state.folded);
      if (state.folded.size() >=
          static_cast<std::size_t>(std::max(1, state.settings.minimum_paragraph_characters)))
        state.paragraphs.push_back(
            {static_cast<std::uint32_t>(state.documents), number, hash_of(state.folded)});
      ++number;
    }
  }
  state.file.write(bytes_of(fingerprint));
  ++state.documents;
}

void FingerprintWriter::commit() {
  State& state = *state_;
  state.file.write({reinterpret_cast<const char*>(state.paragraphs.data()),
                    state.paragraphs.size() * sizeof(ParagraphFingerprint)});
  Footer footer{state.documents, state.paragraphs.size(), state.settings.sketch ? 1u : 0u,
                state.settings.paragraphs ? 1u : 0u};
  std::copy(kMagic.begin(), kMagic.end(), footer.magic);
  state.file.write(bytes_of(footer));
  state.file.commit();
}

FingerprintFile::FingerprintFile(std::filesystem::path path) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail("{}: cannot be read: {}", path_.string(), std::strerror(errno));
  try {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode))
      fail("{}: is not a file", path_.string());
    const auto length = static_cast<std::uint64_t>(status.st_size);
    if (length < sizeof(Footer)) fail_damaged("no fingerprint file");
    Footer footer;
    read_at(length - sizeof(Footer), &footer, sizeof(Footer));
    if (std::string_view(footer.magic, 8) != kMagic) fail_damaged("no fingerprint file");
    const std::uint64_t limit = length / sizeof(ParagraphFingerprint);
    if (footer.documents > limit || footer.paragraphs > limit ||
        footer.documents * sizeof(Fingerprint) + footer.paragraphs * sizeof(ParagraphFingerprint) +
                sizeof(Footer) !=
            length)
      fail_damaged("wrong length");
    size_ = footer.documents;
    paragraph_count_ = footer.paragraphs;
    sketches_ = footer.has_sketches != 0;
    paragraphs_ = footer.has_paragraphs != 0;
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

FingerprintFile::~FingerprintFile() { ::close(descriptor_); }

void FingerprintFile::fail_damaged(std::string_view what) const {
  fail("{}: {}: it was changed or not written to its end; remove it and run again", path_.string(),
       what);
}

void FingerprintFile::read_at(std::uint64_t offset, void* to, std::size_t length) const {
  auto* at = static_cast<char*>(to);
  while (length > 0) {
    const ssize_t got = ::pread(descriptor_, at, length, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("{}: cannot be read: {}", path_.string(), std::strerror(errno));
    if (got == 0) fail_damaged("truncated");
    at += got;
    offset += static_cast<std::uint64_t>(got);
    length -= static_cast<std::size_t>(got);
  }
}

Fingerprint FingerprintFile::read(std::uint64_t index) const {
  if (index >= size_) fail_internal("{}: there is no document {}", path_.string(), index);
  Fingerprint fingerprint;
  read_at(index * sizeof(Fingerprint), &fingerprint, sizeof(Fingerprint));
  return fingerprint;
}

std::vector<Fingerprint> FingerprintFile::read(std::uint64_t first, std::uint64_t count) const {
  if (first > size_ || count > size_ - first)
    fail_internal("{}: there are no documents {} to {}", path_.string(), first, first + count);
  std::vector<Fingerprint> fingerprints(count);
  read_at(first * sizeof(Fingerprint), fingerprints.data(), count * sizeof(Fingerprint));
  return fingerprints;
}

std::vector<ParagraphFingerprint> FingerprintFile::read_paragraphs() const {
  std::vector<ParagraphFingerprint> paragraphs(paragraph_count_);
  read_at(size_ * sizeof(Fingerprint), paragraphs.data(),
          paragraphs.size() * sizeof(ParagraphFingerprint));
  return paragraphs;
}

std::vector<std::string_view> split_paragraphs(std::string_view text) {
  std::vector<std::string_view> lines, blocks;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    const std::size_t next = end == std::string_view::npos ? text.size() : end + 1;
    lines.push_back(text.substr(at, next - at));
    at = next;
  }
  bool seen = false, blank_since = false, separated = false;
  for (const std::string_view line : lines) {
    const bool blank = is_blank(line.substr(0, line.find('\n')));
    // Blank lines before the first paragraph and after the last separate nothing.
    if (blocks.empty() || (!blank && seen && blank_since)) {
      separated = !blocks.empty();
      blocks.push_back(line);
    } else {
      blocks.back() = {blocks.back().data(), blocks.back().size() + line.size()};
    }
    seen = seen || !blank;
    blank_since = blank;
  }
  return separated ? blocks : lines;
}

}  // namespace tigerbot::data
