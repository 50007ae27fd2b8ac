#include "train/run_parts.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/random.h"
#include "data/shards/manifest.h"
#include "data/shards/token_shard.h"
#include "ops/elementwise.h"
#include "train/pretrain.h"
#include "weights/convert.h"
#include "weights/hub/models.h"
#include "weights/hugging_face_folder.h"

namespace tigerbot::train {
namespace {

/// A directory with a tokenizer and no model: what a start from scratch goes by.
ModelFiles open_tokenizer_files(const std::filesystem::path& folder, const ModelConfig& config) {
  ModelFiles files;
  files.path = folder;
  files.format = "tokenizer directory";
  files.config = config;
  const Json tokenizer_config = read_tokenizer_config(folder);
  files.chat_template = read_chat_template(folder, tokenizer_config);
  files.bos_token = special_token_text(folder, tokenizer_config, "bos_token");
  files.eos_token = special_token_text(folder, tokenizer_config, "eos_token");
  files.eos_token_ids = config.eos_token_ids;
  return files;
}

Json source_json(const DataSource& source) {
  return {{"name", source.name}, {"path", source.path.string()}};
}

/// The prefixes of the shards that a path means: one shard, or all in a folder.
std::vector<std::filesystem::path> shards_of(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return {data::shard_prefix(path)};
  std::vector<std::filesystem::path> shards;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.path().extension() == ".idx") shards.push_back(data::shard_prefix(entry.path()));
  }
  std::ranges::sort(shards);
  if (shards.empty()) fail("{}: no shard (.bin and .idx) is here", path.string());
  return shards;
}

SftOptions sft_options(const Recipe& recipe, const Tokenizer& tokenizer, Communicator& group) {
  SftOptions options;
  options.sequence_length = recipe.data.sequence_length;
  options.micro_batch_sequences = recipe.train.micro_batch_sequences;
  options.global_batch_tokens = recipe.train.global_batch_tokens;
  options.epochs = recipe.data.epochs;
  options.batching = recipe.data.batching;
  options.too_long = recipe.data.too_long;
  options.average = recipe.data.average;
  options.seed = recipe.train.seed;
  options.padding = tokenizer.pad_id.value_or(tokenizer.eos_id.value_or(0));
  options.rank = group.rank();
  options.ranks = group.size();
  return options;
}

std::unique_ptr<Objective> make_sft(const Recipe& recipe, const ModelParts& parts,
                                    Communicator& group) {
  std::vector<SftSource> sources;
  std::vector<std::string> names;
  for (const DataSource& source : recipe.data.sources) {
    sources.push_back({source.name, source.path, source.repeat, source.max_rows});
    names.push_back(source.name);
  }
  const SftOptions options = sft_options(recipe, *parts.tokenizer, group);
  std::vector<SftCounts> counts;
  std::vector<SftExample> examples = read_sft_examples(sources, make_sft_template(recipe, parts),
                                                       *parts.tokenizer, options, counts);
  Json manifest = {{"objective", "sft"}, {"sources", Json::array()}};
  for (std::size_t i = 0; i < sources.size(); ++i) {
    Json entry = source_json(recipe.data.sources[i]);
    entry["rows"] = counts[i].rows;
    entry["cut"] = counts[i].cut;
    entry["dropped"] = counts[i].dropped;
    manifest["sources"].push_back(std::move(entry));
  }
  manifest["examples"] = examples.size();
  std::int64_t tokens = 0, labels = 0;
  for (const SftExample& example : examples) {
    tokens += static_cast<std::int64_t>(example.ids.size());
    labels += std::ranges::count_if(example.labels, [](std::int64_t x) { return x >= 0; });
  }
  manifest["tokens"] = tokens;
  manifest["answer_tokens"] = labels;
  return std::make_unique<SftObjective>(std::move(examples), std::move(names), options,
                                        std::move(manifest));
}

std::unique_ptr<Objective> make_pretrain(const Recipe& recipe, const ModelParts& parts,
                                         Communicator& group) {
  PretrainOptions options;
  options.global_batch_tokens = recipe.train.global_batch_tokens;
  options.micro_batch_sequences = recipe.train.micro_batch_sequences;
  options.epochs = recipe.data.epochs;
  options.instruction_share = recipe.data.instruction_share;
  options.reader.sequence_length = recipe.data.sequence_length;
  options.reader.shuffle = recipe.data.shuffle;
  options.reader.packing = recipe.data.packing;
  options.reader.seed = recipe.train.seed;
  options.reader.reader = group.rank();
  options.reader.readers = group.size();
  options.reader.vocabulary_size = parts.config.vocab_size;
  options.reader.tokenizer = parts.tokenizer_hash;
  Json manifest = {{"objective", "pretrain"}, {"sources", Json::array()}};
  for (const DataSource& source : recipe.data.sources) {
    options.reader.sources.push_back(
        {source.name, shards_of(source.path), source.weight.value_or(0)});
    manifest["sources"].push_back(source_json(source));
  }
  std::vector<std::vector<TokenId>> instructions;
  for (const DataSource& source : recipe.data.instructions) {
    manifest["sources"].push_back(source_json(source));
    std::int64_t rows = 0;
    for_each_row(source.path, [&](const nlohmann::ordered_json& row, const std::string& place) {
      if (source.max_rows > 0 && rows >= source.max_rows) return;
      ++rows;
      const Conversation conversation = parse_sft_row(row, place);
      std::vector<TokenId> ids =
          parts.tokenizer->encode(instruction_text(conversation.messages),
                                  {.add_special_tokens = false, .parse_special_tokens = false});
      if (parts.tokenizer->bos_id && parts.tokenizer->encode("").size() == 1) {
        ids.insert(ids.begin(), *parts.tokenizer->bos_id);
      }
      if (parts.tokenizer->eos_id) ids.push_back(*parts.tokenizer->eos_id);
      instructions.push_back(std::move(ids));
    });
  }
  return std::make_unique<PretrainObjective>(options, std::move(instructions), group,
                                             std::move(manifest));
}

}  // namespace

ModelParts open_model_parts(const Recipe& recipe) {
  ModelParts parts;
  parts.from_scratch = recipe.model.path.empty();
  if (parts.from_scratch) {
    const std::string path = recipe.model.config.string();
    parts.config = parse_model_config(read_file(recipe.model.config), path);
    parts.files = open_tokenizer_files(recipe.model.tokenizer, parts.config);
    parts.tokenizer = load_folder_tokenizer(recipe.model.tokenizer, parts.config);
  } else {
    parts.files = open_model(resolve_model(recipe.model.path));
    parts.config = parts.files.config;
    parts.tokenizer = parts.files.load_tokenizer();
  }
  if (parts.config.family == ModelConfig::Family::kBert) {
    fail("{}: an encoder ({}) writes no text; only decoders are trained here",
         parts.files.path.string(), parts.config.model_type);
  }
  if (parts.files.gptq && !recipe.lora) {
    fail(
        "{}: {} is quantized to {} bits, and quantized weights do not train; add [lora] to train "
        "adapters on them, or write a dense model with `tigerbot convert` first",
        recipe.path.string(), parts.files.path.string(), parts.files.gptq->bits);
  }
  if (parts.tokenizer->size() > parts.config.vocab_size) {
    fail("{}: the tokenizer has {} pieces and the model's vocabulary is {}; extend the model first",
         parts.files.path.string(), parts.tokenizer->size(), parts.config.vocab_size);
  }
  if (recipe.model.rope_theta) {
    if (parts.config.family != ModelConfig::Family::kLlama) {
      fail("{}: model.rope_theta: a {} model has no rotary positions", recipe.path.string(),
           parts.config.model_type);
    }
    parts.config.rope_theta = *recipe.model.rope_theta;
  }
  if (recipe.model.max_position_embeddings) {
    parts.config.max_position_embeddings = *recipe.model.max_position_embeddings;
  }
  parts.dtype = recipe.model.dtype == "float32" ? at::kFloat : at::kBFloat16;
  parts.config.torch_dtype = recipe.model.dtype;
  if (parts.config.family == ModelConfig::Family::kLlama &&
      recipe.data.sequence_length > parts.config.max_position_embeddings) {
    fail(
        "{}: data.sequence_length is {} and the model's context {}; set "
        "model.max_position_embeddings (and rope_theta) to lengthen it",
        recipe.path.string(), recipe.data.sequence_length, parts.config.max_position_embeddings);
  }
  parts.tokenizer_hash = data::tokenizer_fingerprint(*parts.tokenizer);
  return parts;
}

TensorSource random_weights(std::uint64_t seed, double deviation) {
  return [seed, deviation](const std::string& name, const std::vector<std::int64_t>& shape) {
    if (name.ends_with("bias")) return at::zeros(shape, at::kFloat);
    if (shape.size() < 2) return at::ones(shape, at::kFloat);
    at::Tensor tensor = at::empty(shape, at::kFloat);
    auto* values = tensor.mutable_data_ptr<float>();
    const std::uint64_t stream = hash128(name).low;
    ops::parallel_elements(tensor.numel(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        values[i] = static_cast<float>(
            deviation * random_normal({seed, stream, static_cast<std::uint64_t>(i)}));
      }
    });
    return tensor;
  };
}

std::unique_ptr<Decoder> hollow_decoder(const ModelConfig& config) {
  const TensorSource nothing = [](const std::string&, const std::vector<std::int64_t>& shape) {
    return at::empty(shape, at::TensorOptions(at::kBFloat16).device(at::kMeta));
  };
  return make_decoder(config, nothing, at::kBFloat16, at::kMeta);
}

TensorSource ModelParts::source(const Recipe& recipe) const {
  return from_scratch ? random_weights(recipe.train.seed, recipe.model.initializer_range)
                      : files.source(at::kFloat);
}

QuantizedSource ModelParts::quantized(const Recipe& recipe) const {
  if (!recipe.lora || from_scratch) return nullptr;
  // The output layer trains as cross_entropy takes it, dense.
  return [source = files.quantized_source(), output = make_empty_decoder(config)->output_name()](
             const std::string& name, const std::vector<std::int64_t>& shape) {
    return name == output ? ops::QuantizedWeight() : source(name, shape);
  };
}

void write_export_companions(const ModelParts& parts, const std::filesystem::path& folder) {
  create_folders(folder);
  if (parts.from_scratch) {
    for (const char* name : {"tokenizer.json", "tokenizer.model", "tokenizer_config.json",
                             "special_tokens_map.json", "added_tokens.json", "vocab.json",
                             "merges.txt", "chat_template.jinja", "generation_config.json"}) {
      const auto from = parts.files.path / name;
      if (std::filesystem::exists(from)) write_file(folder / name, read_file(from));
    }
    write_file(folder / "config.json", format_model_config(parts.config));
    return;
  }
  write_companions(parts.files, folder, parts.dtype);
  const bool changed =
      parts.config.rope_theta != parts.files.config.rope_theta ||
      parts.config.max_position_embeddings != parts.files.config.max_position_embeddings;
  // The file's own config keeps what we do not know; a changed one is written anew.
  if (changed) write_file(folder / "config.json", format_model_config(parts.config));
}

SftTemplate make_sft_template(const Recipe& recipe, const ModelParts& parts) {
  const std::string& choice = recipe.data.chat_template;
  const std::string place = recipe.path.string() + ": data.template";
  std::string source;
  if (choice == "model") {
    source = parts.files.chat_template;
    if (source.empty()) {
      fail("{}: the model has no chat template; choose \"chatml\", \"tigerbot\" or a file", place);
    }
  } else if (choice == "chatml") {
    source = chat_templates::kChatMl;
    for (const char* mark : {"<|im_start|>", "<|im_end|>"}) {
      if (const auto id = parts.tokenizer->id(mark); !id || !parts.tokenizer->is_special(*id)) {
        fail(
            "{}: the tokenizer has no special token {}, which ChatML needs; extend it, or choose "
            "another template",
            place, mark);
      }
    }
  } else if (choice == "tigerbot") {
    source = chat_templates::kTigerBot;
    if (parts.files.eos_token.empty()) {
      fail("{}: the tokenizer has no end-of-sequence token, which TigerBot's template needs",
           place);
    }
  } else {
    const auto file = std::filesystem::absolute(recipe.path).parent_path() / choice;
    if (!std::filesystem::exists(file)) {
      fail("{}: \"{}\" is not \"model\", \"chatml\", \"tigerbot\" or a file", place, choice);
    }
    source = read_file(file, 1 << 20);
  }
  return SftTemplate(source, parts.files.bos_token, parts.files.eos_token);
}

std::unique_ptr<Objective> make_objective(const Recipe& recipe, const ModelParts& parts,
                                          Communicator& group) {
  return recipe.data.objective == "sft" ? make_sft(recipe, parts, group)
                                        : make_pretrain(recipe, parts, group);
}

std::vector<LoadedValidation> load_validation(const Recipe& recipe, const ModelParts& parts) {
  std::vector<LoadedValidation> sets;
  const std::int64_t context = recipe.data.sequence_length;
  for (const ValidationSet& set : recipe.validation.sets) {
    LoadedValidation& loaded = sets.emplace_back();
    loaded.name = set.name;
    loaded.kind = set.kind;
    if (set.kind == "next_token") {
      const std::int64_t rows = set.max_rows > 0 ? set.max_rows : 100'000;
      loaded.rows =
          read_prompt_answers(set.path, *parts.tokenizer, context, rows, recipe.train.seed);
    } else if (set.kind == "text") {
      loaded.rows =
          read_text_windows(set.path, *parts.tokenizer, context, set.max_rows, set.language);
    } else if (set.kind == "sft") {
      SftOptions options;
      options.sequence_length = context;
      std::vector<SftCounts> counts;
      for (SftExample& example :
           read_sft_examples({{set.name, set.path, 1, set.max_rows}},
                             make_sft_template(recipe, parts), *parts.tokenizer, options, counts)) {
        loaded.rows.push_back(
            {std::move(example.ids), std::move(example.labels), set.name, set.language});
      }
    } else {
      data::ShardReaderOptions options;
      options.sources = {{set.name, shards_of(set.path), 0}};
      options.sequence_length = context;
      options.shuffle = data::Shuffle::kNone;
      options.vocabulary_size = parts.config.vocab_size;
      options.tokenizer = parts.tokenizer_hash;
      data::ShardReader reader(options);
      const auto all = static_cast<std::int64_t>(reader.epoch_tokens()) / context;
      const std::int64_t rows =
          std::max<std::int64_t>(1, set.max_rows > 0 ? std::min(all, set.max_rows) : all);
      for (std::int64_t i = 0; i < rows; ++i) {
        const data::PackedTokens packed = reader.next();
        for (std::size_t p = 0; p + 1 < packed.cu_seqlens.size(); ++p) {
          EvaluationRow row;
          row.ids.assign(packed.ids.begin() + packed.cu_seqlens[p],
                         packed.ids.begin() + packed.cu_seqlens[p + 1]);
          row.labels.assign(packed.labels.begin() + packed.cu_seqlens[p],
                            packed.labels.begin() + packed.cu_seqlens[p + 1]);
          row.source = set.name;
          row.language = set.language;
          loaded.rows.push_back(std::move(row));
        }
      }
    }
  }
  return sets;
}

}  // namespace tigerbot::train
