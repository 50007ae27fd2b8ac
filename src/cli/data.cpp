#include "cli/commands.h"

namespace tigerbot {

void add_data_command(CLI::App& app) {
  CLI::App& command = *app.add_subcommand("data", "Text for training");
  command.require_subcommand(1);
  add_data_build_command(command);
  add_data_report_command(command);
  add_data_show_command(command);
  add_data_tokenize_command(command);
  add_data_train_quality_command(command);
}

}  // namespace tigerbot
