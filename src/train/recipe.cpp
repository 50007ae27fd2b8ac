#include "train/recipe.h"

#include <array>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "base/toml.h"

namespace tigerbot::train {
namespace {

/// The value of a key that names one of a few words.
template <typename T>
T choice(JsonReader& reader, const char* key, const char* fallback,
         const std::vector<std::pair<std::string, T>>& words) {
  const auto word =
      *fallback == '\0' ? reader.get<std::string>(key) : reader.get<std::string>(key, fallback);
  std::vector<std::string> names;
  for (const auto& [name, value] : words) {
    if (name == word) return value;
    names.push_back(name);
  }
  fail("{}: {} is not one of {}{}", reader.place(key), quote(word), fmt::join(names, ", "),
       did_you_mean(word, names));
}

void check(bool right, const JsonReader& reader, const char* key, const char* wanted) {
  if (!right) fail("{} must be {}", reader.place(key), wanted);
}

std::int64_t positive(JsonReader& reader, const char* key, std::int64_t fallback) {
  const auto value = reader.get<std::int64_t>(key, std::int64_t{fallback});
  check(value >= 1, reader, key, "at least 1");
  return value;
}

/// A path of the recipe; it begins at the recipe's own folder.
std::filesystem::path resolve(const JsonReader& reader, const std::string& text) {
  const std::filesystem::path path = expand_home(text);
  const auto folder = std::filesystem::absolute(reader.source()).parent_path();
  return (path.is_absolute() ? path : folder / path).lexically_normal();
}

std::filesystem::path existing(JsonReader& reader, const char* key, Files files) {
  std::filesystem::path path = resolve(reader, reader.get<std::string>(key));
  if (files == Files::kMustExist && !std::filesystem::exists(path)) {
    fail("{}: {} is not there", reader.place(key), quote(path.string()));
  }
  return path;
}

ModelSettings read_model(JsonReader reader, Files files) {
  ModelSettings model;
  if (reader.has("path") == reader.has("config")) {
    fail(
        "{}: give either \"path\" (a model to go on from) or \"config\" (a shape to start from "
        "scratch), {}",
        reader.place("path"), reader.has("path") ? "not both" : "one of them");
  }
  if (reader.has("path")) {
    model.path = reader.get<std::string>("path");
    const auto beside = resolve(reader, model.path);  // else it is a name that `pull` knows
    if (std::filesystem::exists(beside)) model.path = beside.string();
  } else {
    model.config = existing(reader, "config", files);
    model.tokenizer = existing(reader, "tokenizer", files);
    model.initializer_range = reader.get<double>("initializer_range", 0.02);
    check(model.initializer_range > 0, reader, "initializer_range", "above 0");
  }
  model.dtype = choice<std::string>(reader, "dtype", "bfloat16",
                                    {{"bfloat16", "bfloat16"}, {"float32", "float32"}});
  model.rope_theta = reader.find<double>("rope_theta");
  if (model.rope_theta) check(*model.rope_theta > 1, reader, "rope_theta", "above 1");
  model.max_position_embeddings = reader.find<std::int64_t>("max_position_embeddings");
  if (reader.has("trainable")) {
    model.trainable = reader.value()["trainable"].is_string()
                          ? std::vector{reader.get<std::string>("trainable")}
                          : reader.get<std::vector<std::string>>("trainable");
    check(!model.trainable.empty(), reader, "trainable", "\"all\" or a list of names");
  }
  reader.finish();
  return model;
}

LoraOptions read_lora(JsonReader reader, Recipe& recipe, Files files) {
  LoraOptions lora;
  recipe.lora_merge = reader.get<bool>("merge", false);
  if (reader.has("adapter")) {
    recipe.lora_adapter = existing(reader, "adapter", files).string();
    for (const char* key : {"rank", "alpha", "dropout", "target_modules"}) {
      if (reader.has(key)) {
        fail("{}: the adapter's own adapter_config.json says it; leave it out", reader.place(key));
      }
    }
  } else {
    lora.rank = positive(reader, "rank", 16);
    lora.alpha = reader.get<double>("alpha", 2.0 * static_cast<double>(lora.rank));
    check(lora.alpha > 0, reader, "alpha", "above 0");
    lora.dropout = reader.get<double>("dropout", 0.0);
    check(lora.dropout >= 0 && lora.dropout < 1, reader, "dropout", "in [0, 1)");
    lora.target_modules =
        reader.get<std::vector<std::string>>("target_modules", std::vector(lora.target_modules));
    check(!lora.target_modules.empty(), reader, "target_modules", "a list of names");
  }
  reader.finish();
  return lora;
}

std::vector<DataSource> read_sources(JsonReader& reader, const char* key, bool sft, Files files) {
  std::vector<DataSource> sources;
  for (JsonReader& entry : reader.objects(key)) {
    DataSource source;
    source.path = resolve(entry, entry.get<std::string>("path"));
    const bool is_prefix = !sft && std::filesystem::exists(source.path.string() + ".idx");
    if (!is_prefix) source.path = existing(entry, "path", files);
    source.name = entry.get<std::string>("name", source.path.stem().string());
    if (sft) {
      source.repeat = positive(entry, "repeat", 1);
      source.max_rows = entry.get<std::int64_t>("max_rows", 0);
      check(source.max_rows >= 0, entry, "max_rows", "at least 0");
    } else {
      source.weight = entry.find<double>("weight");
      if (source.weight) check(*source.weight > 0, entry, "weight", "above 0");
    }
    entry.finish();
    sources.push_back(std::move(source));
  }
  if (sources.empty()) fail("{}: at least one is needed", reader.place(key));
  return sources;
}

DataSettings read_data(JsonReader reader, Files files) {
  DataSettings data;
  data.objective =
      choice<std::string>(reader, "objective", "", {{"pretrain", "pretrain"}, {"sft", "sft"}});
  const bool sft = data.objective == "sft";
  data.sources = read_sources(reader, "source", sft, files);
  data.sequence_length = reader.get<std::int64_t>("sequence_length", 2048);
  check(data.sequence_length >= 2, reader, "sequence_length", "at least 2");
  data.epochs = positive(reader, "epochs", sft ? 2 : 1);
  if (sft) {
    using Options = SftOptions;
    data.chat_template = reader.get<std::string>("template", "model");
    data.batching = choice<Options::Batching>(reader, "batching", "grouped",
                                              {{"grouped", Options::Batching::kGrouped},
                                               {"one_by_one", Options::Batching::kOneByOne},
                                               {"padded", Options::Batching::kPadded}});
    data.too_long = choice<Options::TooLong>(
        reader, "too_long", "cut",
        {{"cut", Options::TooLong::kCut}, {"drop", Options::TooLong::kDrop}});
    data.average = choice<Options::Average>(
        reader, "average", "token",
        {{"token", Options::Average::kToken}, {"example", Options::Average::kExample}});
  } else {
    data.shuffle = choice<data::Shuffle>(reader, "shuffle", "documents",
                                         {{"documents", data::Shuffle::kDocuments},
                                          {"windows", data::Shuffle::kWindows},
                                          {"none", data::Shuffle::kNone}});
    data.packing =
        choice<data::Packing>(reader, "packing", "split",
                              {{"split", data::Packing::kSplit}, {"whole", data::Packing::kWhole}});
    if (reader.has("instructions")) {
      data.instructions = read_sources(reader, "instructions", true, files);
      data.instruction_share = reader.get<double>("instruction_share", 0.03);
      check(data.instruction_share > 0 && data.instruction_share < 1, reader, "instruction_share",
            "between 0 and 1");
    }
  }
  reader.finish();
  return data;
}

TrainSettings read_train(JsonReader reader, const DataSettings& data) {
  TrainSettings train;
  const bool sft = data.objective == "sft";
  train.steps = reader.get<std::int64_t>("steps", 0);
  check(train.steps >= 0, reader, "steps", "at least 0");
  train.global_batch_tokens = positive(reader, "global_batch_tokens", sft ? 131072 : 4194304);
  train.micro_batch_sequences = positive(reader, "micro_batch_sequences", 1);
  train.activation_checkpointing =
      choice<ActivationCheckpointing>(reader, "activation_checkpointing", "none",
                                      {{"none", ActivationCheckpointing::kNone},
                                       {"selective", ActivationCheckpointing::kSelective},
                                       {"full", ActivationCheckpointing::kFull}});
  train.seed = reader.get<std::uint64_t>("seed", std::uint64_t{0});
  train.schedule = choice<ScheduleKind>(reader, "schedule", "cosine",
                                        {{"constant", ScheduleKind::kConstant},
                                         {"cosine", ScheduleKind::kCosine},
                                         {"wsd", ScheduleKind::kWsd}});
  train.learning_rate = reader.get<double>("learning_rate", sft ? 2e-5 : 2e-4);
  check(train.learning_rate > 0, reader, "learning_rate", "above 0");
  train.final_learning_rate = reader.get<double>("final_learning_rate", train.learning_rate / 10);
  check(train.final_learning_rate >= 0, reader, "final_learning_rate", "at least 0");
  train.warmup_steps = reader.find<std::int64_t>("warmup_steps");
  if (train.warmup_steps) {
    check(*train.warmup_steps >= 0, reader, "warmup_steps", "at least 0");
    if (reader.has("warmup_share")) {
      fail("{}: warmup_steps says it already; give one of them", reader.place("warmup_share"));
    }
  }
  train.warmup_share = reader.get<double>("warmup_share", 0.01);
  check(train.warmup_share >= 0 && train.warmup_share < 1, reader, "warmup_share", "in [0, 1)");
  if (reader.has("decay_share") && train.schedule != ScheduleKind::kWsd) {
    fail("{}: only the schedule \"wsd\" has it", reader.place("decay_share"));
  }
  train.decay_share = reader.get<double>("decay_share", 0.1);
  check(train.decay_share > 0 && train.decay_share <= 1, reader, "decay_share", "in (0, 1]");
  OptimizerOptions& adamw = train.optimizer;
  adamw.beta1 = reader.get<double>("beta1", adamw.beta1);
  check(adamw.beta1 >= 0 && adamw.beta1 < 1, reader, "beta1", "in [0, 1)");
  adamw.beta2 = reader.get<double>("beta2", adamw.beta2);
  check(adamw.beta2 >= 0 && adamw.beta2 < 1, reader, "beta2", "in [0, 1)");
  adamw.eps = reader.get<double>("eps", adamw.eps);
  check(adamw.eps > 0, reader, "eps", "above 0");
  adamw.weight_decay = reader.get<double>("weight_decay", adamw.weight_decay);
  check(adamw.weight_decay >= 0, reader, "weight_decay", "at least 0");
  adamw.clip_norm = reader.get<double>("clip_norm", adamw.clip_norm);
  check(adamw.clip_norm >= 0, reader, "clip_norm", "at least 0");
  train.explosion_factor = reader.get<double>("explosion_factor", 10.0);
  check(train.explosion_factor == 0 || train.explosion_factor > 1, reader, "explosion_factor",
        "above 1, or 0 for none");
  train.max_skipped_in_a_row = positive(reader, "max_skipped_in_a_row", 5);
  reader.finish();
  if (!sft && data.packing == data::Packing::kWhole && train.steps == 0) {
    fail("{}: say how many; with data.packing = \"whole\" it is not known how many an epoch makes",
         reader.place("steps"));
  }
  if (train.global_batch_tokens < data.sequence_length) {
    fail("{}: {} tokens; data.sequence_length alone is {}", reader.place("global_batch_tokens"),
         train.global_batch_tokens, data.sequence_length);
  }
  return train;
}

ValidationSettings read_validation(JsonReader reader, Files files) {
  ValidationSettings validation;
  validation.every_steps = positive(reader, "every_steps", 500);
  for (JsonReader& entry : reader.objects("set")) {
    ValidationSet set;
    set.path = existing(entry, "path", files);
    set.name = entry.get<std::string>("name", set.path.stem().string());
    set.kind = choice<std::string>(
        entry, "kind", "",
        {{"sft", "sft"}, {"text", "text"}, {"next_token", "next_token"}, {"shards", "shards"}});
    set.language = entry.get<std::string>("language", "");
    set.max_rows = entry.get<std::int64_t>("max_rows", 0);
    entry.finish();
    validation.sets.push_back(std::move(set));
  }
  if (validation.sets.empty()) fail("{}: at least one is needed", reader.place("set"));
  reader.finish();
  return validation;
}

}  // namespace

Recipe read_recipe(const std::filesystem::path& path, Files files) {
  Recipe recipe;
  recipe.path = path;
  recipe.text = read_file(path, 16 << 20);
  recipe.table = parse_toml(recipe.text, path.string());
  JsonReader reader(recipe.table, path.string());
  recipe.name = reader.get<std::string>("name", path.stem().string());
  recipe.output = resolve(reader, reader.get<std::string>("output"));
  recipe.log_every_steps = positive(reader, "log_every_steps", 1);
  recipe.model = read_model(reader.object("model"), files);
  if (auto lora = reader.find_object("lora")) {
    recipe.lora = read_lora(*lora, recipe, files);
    if (recipe.table["model"].contains("trainable")) {
      fail("{}: with [lora] the adapters are what is trained; leave it out",
           reader.place("model.trainable"));
    }
  }
  recipe.data = read_data(reader.object("data"), files);
  auto train = reader.find_object("train");
  static const Json kEmpty = Json::object();
  recipe.train =
      read_train(train ? *train : JsonReader(kEmpty, path.string(), "train"), recipe.data);
  if (recipe.lora) recipe.lora->seed = recipe.train.seed;
  if (auto table = reader.find_object("checkpoint")) {
    recipe.checkpoint.every_steps = positive(*table, "every_steps", 500);
    recipe.checkpoint.keep_last = positive(*table, "keep_last", 3);
    recipe.checkpoint.background = table->get<bool>("background", true);
    table->finish();
  }
  if (auto table = reader.find_object("validation")) {
    recipe.validation = read_validation(*table, files);
  }
  if (auto table = reader.find_object("samples")) {
    recipe.samples.prompts = table->get<std::vector<std::string>>("prompts");
    recipe.samples.max_new_tokens = positive(*table, "max_new_tokens", 64);
    recipe.samples.raw = table->get<bool>("raw", false);
    table->finish();
  }
  reader.finish();
  return recipe;
}

}  // namespace tigerbot::train
