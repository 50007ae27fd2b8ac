#include "weights/convert.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/logging.h"
#include "base/progress.h"
#include "base/text.h"
#include "weights/gguf_codes.h"
#include "weights/gguf_config.h"
#include "weights/gguf_metadata.h"
#include "weights/gguf_writer.h"
#include "weights/hugging_face_folder.h"
#include "weights/model_files.h"
#include "weights/quantize.h"
#include "weights/safetensors.h"
#include "weights/tokenizer_conversion.h"

namespace tigerbot {

Json gguf_tokenizer_config(const ModelFiles& files, const GgufTokenizer& tokenizer) {
  Json json = {{"tokenizer_class", "PreTrainedTokenizerFast"},
               {"model_max_length", files.config.max_position_embeddings},
               {"clean_up_tokenization_spaces", false}};
  if (tokenizer.model == "bert") json["tokenizer_class"] = "BertTokenizer";
  const auto role = [&](const char* name, const std::optional<TokenId>& id) {
    if (id) json[name] = tokenizer.tokens.at(static_cast<std::size_t>(*id));
  };
  if (tokenizer.model == "bert") {
    role("cls_token", tokenizer.bos_id);
    role("sep_token", tokenizer.eos_id);
  } else {
    role("bos_token", tokenizer.bos_id);
    role("eos_token", tokenizer.eos_id);
  }
  role("unk_token", tokenizer.unk_id);
  role("pad_token", tokenizer.pad_id);
  if (!files.chat_template.empty()) json["chat_template"] = files.chat_template;
  return json;
}

namespace {

// What goes along unchanged from one Hugging Face directory to another.
constexpr std::array kCompanions = {"generation_config.json",
                                    "modules.json",
                                    "sentence_bert_config.json",
                                    "config_sentence_transformers.json",
                                    "1_Pooling/config.json",
                                    "README.md",
                                    "LICENSE"};

// The tokenizer's: from the same place, or from another one's folder.
constexpr std::array kTokenizerFiles = {"tokenizer.json",
                                        "tokenizer.model",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "vocab.txt",
                                        "vocab.json",
                                        "merges.txt"};
constexpr std::array kTemplateFiles = {"chat_template.jinja", "chat_template.json"};

std::string dtype_name(at::ScalarType type) {
  if (type == at::kFloat) return "float32";
  return type == at::kHalf ? "float16" : "bfloat16";
}

// --- To Hugging Face -----------------------------------------------------------------------------

std::vector<TensorToWrite> safetensors_of(const ModelFiles& files, const ConvertOptions& options,
                                          Progress& progress) {
  std::vector<TensorToWrite> tensors;
  for (const StoredTensor& stored : files.tensors->tensors()) {
    TensorToWrite tensor;
    tensor.name = stored.name;
    tensor.shape = stored.shape;
    const auto load = [&stored, &options, &progress] {
      at::Tensor values = stored.load(options.dtype.value_or(at::kBFloat16));
      if (values.is_floating_point() && options.dtype) values = values.to(*options.dtype);
      progress.advance(stored.bytes);
      return values;
    };
    const auto dense = scalar_type_named(stored.type);
    if (!dense && !stored.quantized) {
      fail("{}: tensor {} has type {}, which is not written", stored.file, quote(stored.name),
           stored.type);
    }
    tensor.type = stored.quantized ? at::kBFloat16 : *dense;
    if (options.dtype && at::isFloatingType(tensor.type)) tensor.type = *options.dtype;
    tensor.load = load;
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

Json generation_config_of(const ModelConfig& config) {
  Json json = {{"_from_model_config", true}};
  if (config.bos_token_id) json["bos_token_id"] = *config.bos_token_id;
  if (config.eos_token_ids.size() == 1) {
    json["eos_token_id"] = config.eos_token_ids.front();
  } else if (!config.eos_token_ids.empty()) {
    json["eos_token_id"] = config.eos_token_ids;
  }
  if (config.pad_token_id) json["pad_token_id"] = *config.pad_token_id;
  return json;
}

void write_sentence_modules(const SentenceEmbedding& sentence, const ModelConfig& config,
                            const std::filesystem::path& folder) {
  const auto module = [](int index, const char* path, const char* kind) {
    return Json{{"idx", index},
                {"name", std::to_string(index)},
                {"path", path},
                {"type", std::string("sentence_transformers.models.") + kind}};
  };
  Json modules = {module(0, "", "Transformer"), module(1, "1_Pooling", "Pooling")};
  if (sentence.normalize) modules.push_back(module(2, "2_Normalize", "Normalize"));
  write_file(folder / "modules.json", modules.dump(2) + "\n");
  create_folders(folder / "1_Pooling");
  const Json pooling = {{"word_embedding_dimension", config.hidden_size},
                        {"pooling_mode_cls_token", sentence.pooling == "cls"},
                        {"pooling_mode_mean_tokens", sentence.pooling == "mean"},
                        {"pooling_mode_max_tokens", sentence.pooling == "max"}};
  write_file(folder / "1_Pooling" / "config.json", pooling.dump(2) + "\n");
}

/// Copies those of `names` that are there.
template <class Names>
void copy_files(const std::filesystem::path& from, const std::filesystem::path& to,
                const Names& names) {
  for (const char* name : names) {
    if (!std::filesystem::exists(from / name)) continue;
    create_folders((to / name).parent_path());
    write_file(to / name, read_file(from / name));
  }
}

/// The files of the tokenizer that the model was grown to. The model's own chat template stays
/// where the tokenizer brings none.
void copy_new_tokenizer(const ModelFiles& files, const std::filesystem::path& folder,
                        const GrowOptions& grow) {
  copy_files(grow.tokenizer, folder, kTokenizerFiles);
  copy_files(grow.tokenizer, folder, kTemplateFiles);
  const bool brings =
      !read_chat_template(grow.tokenizer, read_tokenizer_config(grow.tokenizer)).empty();
  if (!brings && !files.chat_template.empty())
    write_file(folder / "chat_template.jinja", files.chat_template);
}

/// Puts the size of a grown model, and ids that changed with the tokenizer, into its config.json or
/// generation_config.json. `before` is the model as it was.
void follow_growth(const ModelConfig& before, const ModelConfig& now,
                   nlohmann::ordered_json& json) {
  if (json.contains("vocab_size")) json["vocab_size"] = now.vocab_size;
  if (now.bos_token_id != before.bos_token_id) json["bos_token_id"] = *now.bos_token_id;
  if (now.pad_token_id != before.pad_token_id) json["pad_token_id"] = *now.pad_token_id;
  if (now.eos_token_ids != before.eos_token_ids) json["eos_token_id"] = now.eos_token_ids.front();
}

void write_companions_of_gguf(const ModelFiles& files, const std::filesystem::path& folder,
                              std::optional<at::ScalarType> dtype,
                              const std::optional<GrowOptions>& grow) {
  ModelConfig config = files.config;
  if (dtype) config.torch_dtype = dtype_name(*dtype);
  write_file(folder / "config.json", format_model_config(config));
  if (config.family != ModelConfig::Family::kBert) {
    write_file(folder / "generation_config.json", generation_config_of(config).dump(2) + "\n");
  }
  if (files.sentence) write_sentence_modules(*files.sentence, config, folder);
  if (grow) {
    copy_new_tokenizer(files, folder, *grow);
    return;
  }
  const GgufTokenizer tokenizer = read_gguf_tokenizer(*files.gguf);
  write_file(folder / "tokenizer.json",
             tokenizer_json_from_gguf(tokenizer, files.gguf->header.path).dump());
  write_file(folder / "tokenizer_config.json",
             gguf_tokenizer_config(files, tokenizer).dump(2) + "\n");
}

void copy_companions(const ModelFiles& files, const std::filesystem::path& folder,
                     std::optional<at::ScalarType> dtype, const std::optional<GrowOptions>& grow) {
  // Everything that the file says stays; only the type may change.
  nlohmann::ordered_json config =
      nlohmann::ordered_json::parse(read_file(files.path / "config.json"));
  if (dtype) {
    if (config.contains("dtype")) config["dtype"] = dtype_name(*dtype);
    config["torch_dtype"] = dtype_name(*dtype);
  }
  config.erase("quantization_config");  // what is written is dense
  const ModelConfig before = parse_model_config(config.dump(), "config.json");
  if (grow) follow_growth(before, files.config, config);
  write_file(folder / "config.json", config.dump(2) + "\n");
  copy_files(files.path, folder, kCompanions);
  if (!grow) {
    copy_files(files.path, folder, kTokenizerFiles);
    copy_files(files.path, folder, kTemplateFiles);
    return;
  }
  copy_new_tokenizer(files, folder, *grow);
  const auto generation = folder / "generation_config.json";
  if (!std::filesystem::exists(generation)) return;
  nlohmann::ordered_json settings = nlohmann::ordered_json::parse(read_file(generation));
  follow_growth(before, files.config, settings);
  write_file(generation, settings.dump(2) + "\n");
}

void convert_to_hugging_face(const ModelFiles& files, const std::filesystem::path& destination,
                             const ConvertOptions& options) {
  AtomicFolder folder(destination);
  write_companions(files, folder.path(), options.dtype, options.grow);
  Progress progress("convert", files.tensors->total_bytes(), {.unit = Progress::Unit::kBytes});
  write_safetensors_folder(folder.path(), safetensors_of(files, options, progress),
                           options.max_shard_bytes);
  progress.finish();
  folder.commit();
}

// --- To GGUF -------------------------------------------------------------------------------------

GgmlType ggml_type_of(at::ScalarType type) {
  if (type == at::kFloat) return GgmlType::kF32;
  return type == at::kHalf ? GgmlType::kF16 : GgmlType::kBF16;
}

at::ScalarType scalar_type_of(GgmlType type) {
  if (type == GgmlType::kF16) return at::kHalf;
  return type == GgmlType::kBF16 ? at::kBFloat16 : at::kFloat;
}

// Left out by llama.cpp's converter too: buffers, and heads that an embedding model does not use.
bool is_left_out(const std::string& name, const ModelConfig& config) {
  if (name.ends_with("rotary_emb.inv_freq") || name.ends_with(".attn.bias")) return true;
  if (config.tie_word_embeddings && name == "lm_head.weight") return true;
  if (config.family != ModelConfig::Family::kBert) return false;
  return name.ends_with("position_ids") || name.find("pooler.") != std::string::npos ||
         name.starts_with("cls.");
}

// The GGUF name of a tensor whatever prefix its file gives it.
MappedName gguf_name_of(const StoredTensor& tensor, const ModelConfig& config) {
  std::string name = tensor.name;
  if (name.ends_with(".gamma")) name = name.substr(0, name.size() - 6) + ".weight";
  if (name.ends_with(".beta")) name = name.substr(0, name.size() - 5) + ".bias";
  if (const auto mapped = to_gguf_name(name, config)) return *mapped;
  for (const std::string prefix : {"model.", "transformer.", "bert."}) {
    if (const auto mapped = to_gguf_name(prefix + name, config)) return *mapped;
    if (!name.starts_with(prefix)) continue;
    if (const auto mapped = to_gguf_name(name.substr(prefix.size()), config)) return *mapped;
  }
  fail("{}: tensor {} has no place in the GGUF of a {} model", tensor.file, quote(tensor.name),
       config.model_type);
}

GgmlType matrix_type(const ModelFiles& files, const ConvertOptions& options) {
  if (options.quantized_type) return *options.quantized_type;
  if (options.dtype) return ggml_type_of(*options.dtype);
  if (files.gptq) {
    if (files.gptq->bits == 8) return GgmlType::kQ8_0;
    return files.gptq->symmetric ? GgmlType::kQ4_0 : GgmlType::kQ4_1;
  }
  // As stored: the type of the largest tensor, for config.json does not always say it.
  const StoredTensor* largest = nullptr;
  for (const StoredTensor& tensor : files.tensors->tensors()) {
    if (!largest || element_count(tensor.shape) > element_count(largest->shape)) largest = &tensor;
  }
  if (largest && (largest->type == "F32" || largest->type == "F64")) return GgmlType::kF32;
  return largest && largest->type == "F16" ? GgmlType::kF16 : GgmlType::kBF16;
}

GgmlType type_of_tensor(const MappedName& name, const std::vector<std::int64_t>& shape,
                        GgmlType wanted) {
  // llama.cpp adds and multiplies these in float32.
  if (shape.size() < 2 || name.name == "position_embd.weight" ||
      name.name == "token_types.weight") {
    return GgmlType::kF32;
  }
  const bool four_bits = wanted == GgmlType::kQ4_0 || wanted == GgmlType::kQ4_1;
  if (four_bits && (name.name == "token_embd.weight" || name.name == "output.weight")) {
    wanted = GgmlType::kQ8_0;
  }
  if (shape.back() % ggml_type_info(wanted).block_elements != 0) return GgmlType::kF16;
  return wanted;
}

std::vector<std::byte> gguf_bytes(const StoredTensor& stored, const MappedName& name,
                                  GgmlType type) {
  const at::ScalarType scalar = scalar_type_of(type);
  const at::Tensor values = stored.load(at::kFloat).to(scalar).contiguous();
  const GgmlTypeInfo& info = ggml_type_info(type);
  const std::int64_t elements = values.numel();
  std::vector<std::byte> bytes(
      static_cast<std::size_t>(elements / info.block_elements * info.block_bytes));
  if (elements == 0) return bytes;
  const std::int64_t rows = values.dim() == 0 ? 1 : values.size(0);
  const std::int64_t row_elements = elements / rows;
  const auto row_bytes = static_cast<std::int64_t>(bytes.size()) / rows;
  const auto* from = static_cast<const std::byte*>(values.const_data_ptr());
  const auto from_row = row_elements * static_cast<std::int64_t>(values.element_size());
  const bool copied = info.block_elements == 1;
  std::atomic<bool> finite{true};
  at::parallel_for(0, rows, std::max<std::int64_t>(1, 32768 / row_elements),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t row = begin; row < end; ++row) {
                       const std::byte* source =
                           from + hugging_face_row(name.order, name.heads, rows, row) * from_row;
                       std::byte* target = bytes.data() + row * row_bytes;
                       if (copied) {
                         std::memcpy(target, source, static_cast<std::size_t>(row_bytes));
                       } else if (!quantize(type, reinterpret_cast<const float*>(source),
                                            row_elements, target)) {
                         finite = false;
                       }
                     }
                   });
  if (!finite) {
    fail("{}: tensor {} holds values that are not finite; {} cannot hold them", stored.file,
         quote(stored.name), info.name);
  }
  return bytes;
}

/// The integers of a GPTQ model's layers.
class Codes {
 public:
  explicit Codes(const ModelFiles& files) : config_(files.gptq) {
    if (config_) stored_ = open_safetensors_folder(files.path);
  }

  /// The blocks of a layer whose codes `type` holds as they are; nothing where it must be rounded.
  std::optional<std::vector<std::byte>> blocks(const StoredTensor& weight, const MappedName& name,
                                               GgmlType type) {
    constexpr std::string_view kWeight = ".weight";
    if (!config_ || !weight.load_quantized || ggml_type_info(type).block_elements == 1) return {};
    const std::string layer = weight.name.substr(0, weight.name.size() - kWeight.size());
    const auto tensor = [&](const char* end) {
      const StoredTensor* found = stored_.find(layer + end);
      return found ? found->load(at::kFloat) : at::Tensor();
    };
    const ops::QuantizedParts parts =
        unpack_gptq({tensor(".qweight"), tensor(".qzeros"), tensor(".scales"), tensor(".g_idx")},
                    *config_, fmt::format("{}: {}", weight.file, layer));
    if (!can_hold_codes(type, parts)) {
      ++rounded_;
      return std::nullopt;
    }
    const std::int64_t rows = parts.codes.size(0);
    const GgmlTypeInfo& info = ggml_type_info(type);
    const std::int64_t row_bytes = parts.codes.size(1) / info.block_elements * info.block_bytes;
    std::vector<std::byte> bytes(static_cast<std::size_t>(rows * row_bytes));
    for (std::int64_t row = 0; row < rows; ++row) {
      write_blocks_of_codes(type, parts, hugging_face_row(name.order, name.heads, rows, row),
                            bytes.data() + row * row_bytes);
    }
    return bytes;
  }

  /// Layers that blocks() gave nothing of.
  std::int64_t rounded() const { return rounded_; }

 private:
  std::optional<GptqConfig> config_;
  TensorSet stored_;
  std::int64_t rounded_ = 0;
};

void add_metadata(const ModelFiles& files, GgmlType type, const std::string& name,
                  const ConvertOptions& options, GgufWriter& writer) {
  const auto& tokenizer = options.grow ? options.grow->tokenizer : files.path;
  if (files.gguf) {
    for (const auto& [key, value] : files.gguf->header.metadata) {
      if (options.grow && (key.starts_with("tokenizer.") || key.ends_with(".vocab_size"))) continue;
      if (key == "general.file_type" || key == "general.alignment" ||
          key == "general.quantization_version") {
        continue;
      }
      writer.add_value(key, value);
    }
  } else {
    add_gguf_config(writer, files.config);
    writer.add("general.name", name);
  }
  if (!files.gguf || options.grow) {
    add_gguf_tokenizer(writer, gguf_tokenizer_from_folder(tokenizer, files.config));
    // Chat models may end a turn and a text with different tokens.
    const auto eos = files.config.eos_token_ids;
    const auto& ends = files.eos_token_ids;
    for (const std::int64_t id : ends) {
      if (std::ranges::find(eos, id) == eos.end() && ends.size() > 1) {
        writer.add_uint32("tokenizer.ggml.eot_token_id", id);
        break;
      }
    }
    if (!files.chat_template.empty()) writer.add("tokenizer.chat_template", files.chat_template);
  }
  writer.add_uint32("general.file_type", gguf_file_type(type));
  writer.add_uint32("general.quantization_version", 2);
}

void convert_to_gguf(const ModelFiles& files, const std::filesystem::path& destination,
                     const ConvertOptions& options) {
  const GgmlType wanted = matrix_type(files, options);
  GgufWriter writer;
  add_metadata(files, wanted, destination.stem().string(), options, writer);
  Progress progress("convert", files.tensors->total_bytes(), {.unit = Progress::Unit::kBytes});
  if (files.config.rope_scaling.kind == RopeScaling::Kind::kLlama3) {
    const std::vector<float> factors = llama3_frequency_factors(files.config);
    const auto count = static_cast<std::int64_t>(factors.size());
    writer.add_tensor("rope_freqs.weight", {count}, GgmlType::kF32, [factors] {
      std::vector<std::byte> bytes(factors.size() * sizeof(float));
      std::memcpy(bytes.data(), factors.data(), bytes.size());
      return bytes;
    });
  }
  Codes codes(files);
  for (const StoredTensor& stored : files.tensors->tensors()) {
    if (is_left_out(stored.name, files.config)) continue;
    const MappedName name = gguf_name_of(stored, files.config);
    const std::int64_t period = name.order == RowOrder::kSame          ? 1
                                : name.order == RowOrder::kRotaryPairs ? 2 * name.heads
                                                                       : 3 * name.heads;
    if (!stored.shape.empty() && stored.shape.front() % period != 0) {
      fail("{}: tensor {} has {} rows, which {} heads do not divide", stored.file,
           quote(stored.name), stored.shape.front(), name.heads);
    }
    const GgmlType type = type_of_tensor(name, stored.shape, wanted);
    writer.add_tensor(name.name, stored.shape, type, [&stored, name, type, &progress, &codes] {
      auto bytes = codes.blocks(stored, name, type);
      if (!bytes) bytes = gguf_bytes(stored, name, type);
      progress.advance(stored.bytes);
      return *std::move(bytes);
    });
  }
  writer.write(destination);
  progress.finish();
  if (codes.rounded() > 0) {
    log_warning(
        "{}: {} layers have a grid that {} cannot hold as it is (an activation order, or zeros "
        "out of its range), so their weights were rounded a second time",
        destination.string(), codes.rounded(), ggml_type_info(wanted).name);
  }
}

void check_destination(const std::filesystem::path& source,
                       const std::filesystem::path& destination, const ConvertOptions& options) {
  using Format = ConvertOptions::Format;
  if (!std::filesystem::exists(destination)) return;
  if (std::filesystem::equivalent(source, destination)) {
    fail("{}: source and destination are the same; give another destination", source.string());
  }
  if (!options.overwrite) {
    fail("{}: is there already; give another name, or --overwrite to replace it",
         destination.string());
  }
  const bool folder = std::filesystem::is_directory(destination);
  if (folder != (options.to == Format::kHuggingFace)) {
    fail("{}: is a {} and a {} would take its place; give another name", destination.string(),
         folder ? "directory" : "file", folder ? "file" : "directory");
  }
  // Replacing a directory deletes what is in it.
  if (folder && !std::filesystem::is_empty(destination) &&
      !std::filesystem::exists(destination / "config.json")) {
    fail("{}: holds no model, so it is not replaced; give another name", destination.string());
  }
}

}  // namespace

void convert_model(const std::filesystem::path& source, const std::filesystem::path& destination,
                   const ConvertOptions& options) {
  if (options.to == ConvertOptions::Format::kHuggingFace && options.quantized_type) {
    fail("quantized types such as {} are GGUF's; a Hugging Face directory takes --dtype",
         ggml_type_info(*options.quantized_type).name);
  }
  if (options.quantized_type && !can_quantize(*options.quantized_type)) {
    fail("{} is not written; F32, F16, BF16, Q8_0, Q4_0 and Q4_1 are",
         ggml_type_info(*options.quantized_type).name);
  }
  ModelFiles files = open_model(source);
  check_destination(source, destination, options);
  if (options.grow) files = grow_model(files, *options.grow);
  if (options.to == ConvertOptions::Format::kGguf) {
    convert_to_gguf(files, destination, options);
  } else {
    convert_to_hugging_face(files, destination, options);
  }
}

void write_companions(const ModelFiles& files, const std::filesystem::path& folder,
                      std::optional<at::ScalarType> dtype, const std::optional<GrowOptions>& grow) {
  if (files.gguf) {
    write_companions_of_gguf(files, folder, dtype, grow);
  } else {
    copy_companions(files, folder, dtype, grow);
  }
}

}  // namespace tigerbot
