#include <CLI/App.hpp>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "cli/commands.h"
#include "data/show.h"

namespace tigerbot {

void add_data_show_command(CLI::App& data) {
  struct Options {
    std::string folder;
    data::ShowFilter filter;
    bool json = false, full = false;
  };
  auto options = std::make_shared<Options>();
  data::ShowFilter& filter = options->filter;
  CLI::App& command =
      *data.add_subcommand("show", "Print documents of a data run and why they stayed or went");
  command.add_option("DIR", options->folder, "The output folder of `tigerbot data build`")
      ->required();
  command.add_option("--reason", filter.reason,
                     "Only documents that went for this reason, or one that begins so: rules");
  command.add_option("--source", filter.source, "Only documents of this source");
  command.add_option("--language", filter.language, "Only documents of this language");
  command.add_option("--id", filter.id, "Only the document of this id");
  auto* kept = command.add_flag("--kept", filter.kept, "Only documents of the output");
  command.add_flag("--dropped", filter.dropped, "Only documents that a stage dropped")
      ->excludes(kept);
  command.add_option("--limit", filter.limit, "At most so many")->capture_default_str();
  command.add_option("--seed", filter.seed,
                     "A random sample, the same for the same seed (default: the first)");
  command.add_flag("--full", options->full, "The whole text (default: its beginning)");
  command.add_flag("--json", options->json, "One JSON object a line, with the whole text");
  command.footer(
      "Example:\n  tigerbot data show out/standing-corpus --reason rules --seed 1 --limit 5");
  command.callback([options] {
    std::uint64_t shown = 0;
    const std::uint64_t seen =
        data::show_documents(options->folder, options->filter, [&](const Json& document) {
          const std::string text =
              options->json
                  ? document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"
                  : data::describe_document(document, options->full ? std::string::npos : 1000) +
                        "\n";
          std::fwrite(text.data(), 1, text.size(), stdout);
          ++shown;
        });
    if (std::fflush(stdout) != 0) fail("the output can't be written to stdout");
    if (shown == 0)
      std::fprintf(stderr, "no document of %llu passes these filters\n",
                   static_cast<unsigned long long>(seen));
  });
}

}  // namespace tigerbot
