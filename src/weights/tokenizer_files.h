#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "tokenizer/tokenizer.h"

namespace tigerbot {

/// Opens a tokenizer by itself: a model (directory or .gguf), a directory that holds only a
/// tokenizer's files, or a tokenizer.json or SentencePiece .model file.
std::unique_ptr<Tokenizer> open_tokenizer(const std::filesystem::path& path);

/// Names, sizes and times of the files that open_tokenizer() reads: text that changes when they do.
std::string tokenizer_stamp(const std::filesystem::path& path);

}  // namespace tigerbot
