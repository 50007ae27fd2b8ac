#pragma once

#include <CLI/App.hpp>

/// The steps of `tigerbot tokenizer` that have files of their own; each adds itself to the command.
namespace tigerbot {

void add_tokenizer_train_command(CLI::App& tokenizer);
void add_tokenizer_extend_command(CLI::App& tokenizer);
void add_tokenizer_report_command(CLI::App& tokenizer);

}  // namespace tigerbot
