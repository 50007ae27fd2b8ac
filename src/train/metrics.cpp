#include "train/metrics.h"

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace tigerbot::train {
namespace {

/// The lines up to a step; a line that a crash cut short is left out.
std::vector<Json> read_lines(const std::filesystem::path& file, std::int64_t last_step) {
  std::vector<Json> lines;
  if (!std::filesystem::exists(file)) return lines;
  const std::string text = read_file(file);
  for (const std::string_view line : split(text, '\n')) {
    Json value = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (value.is_object() && value.contains("step") && value["step"].is_number_integer() &&
        value["step"].get<std::int64_t>() <= last_step) {
      lines.push_back(std::move(value));
    }
  }
  return lines;
}

void collect_scalars(const std::string& prefix, const Json& values, EventFile::Scalars& scalars) {
  for (const auto& [key, value] : values.items()) {
    if (value.is_number()) scalars.emplace_back(prefix + "/" + key, value.get<double>());
    if (value.is_object()) collect_scalars(prefix + "/" + key, value, scalars);
  }
}

}  // namespace

Metrics::Metrics(const std::filesystem::path& folder, std::int64_t step) {
  create_folders(folder);
  const auto path = folder / "metrics.jsonl";
  lines_ = read_lines(path, step);
  std::string text;
  for (const Json& line : lines_) text += line.dump() + "\n";
  write_file(path, text);
  file_ = std::fopen(path.c_str(), "ab");
  if (!file_) fail("{}: cannot be written: {}", path.string(), std::strerror(errno));
  events_ = std::make_unique<EventFile>(folder / "tensorboard", step);
}

Metrics::~Metrics() {
  if (file_) std::fclose(file_);
}

void Metrics::add(std::int64_t step, const std::string& kind, const Json& values) {
  Json line = values;
  line["step"] = step;
  line["kind"] = kind;
  const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  std::fwrite(text.data(), 1, text.size(), file_);
  std::fflush(file_);
  EventFile::Scalars scalars;
  collect_scalars(kind, values, scalars);
  if (!scalars.empty()) events_->add_scalars(step, scalars);
  if (kind == "sample") {
    events_->add_text(step, "samples",
                      values.value("prompt", "") + "\n\n" + values.value("text", ""));
  }
  lines_.push_back(std::move(line));
}

}  // namespace tigerbot::train
