#pragma once

#include <CLI/App.hpp>

#include "workflow/plan.h"

/// One function a subcommand: it describes the options and what runs when they are read.
namespace tigerbot {

void add_generate_command(CLI::App& app);
void add_chat_command(CLI::App& app);
void add_serve_command(CLI::App& app);
void add_embed_command(CLI::App& app);
void add_eval_command(CLI::App& app);
void add_eval_compare_command(CLI::App& eval);
void add_bench_command(CLI::App& app);
void add_run_command(CLI::App& app, const workflow::CommandCheck& check);
void add_data_command(CLI::App& app);
void add_data_build_command(CLI::App& data);
void add_data_report_command(CLI::App& data);
void add_data_show_command(CLI::App& data);
void add_data_tokenize_command(CLI::App& data);
void add_data_train_quality_command(CLI::App& data);
void add_train_command(CLI::App& app);
void add_quantize_command(CLI::App& app);
void add_tokenizer_command(CLI::App& app);
void add_inspect_command(CLI::App& app);
void add_convert_command(CLI::App& app);
void add_pull_command(CLI::App& app);
void add_models_command(CLI::App& app);

}  // namespace tigerbot
