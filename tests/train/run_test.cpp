// Whole runs of a tiny model: what they write, how they go on, what they refuse.

#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/expect_error.h"
#include "base/files.h"
#include "base/scratch_folder.h"
#include "base/text.h"
#include "train/checkpoint.h"
#include "train/export.h"
#include "train/run_parts.h"
#include "train/tiny_run.h"
#include "train/tiny_runs.h"
#include "train/trainer.h"
#include "weights/model_files.h"
#include "weights/safetensors.h"

namespace tigerbot::train {
namespace {

using testing::curve;
using testing::expect_same_weights;
using testing::kOften;
using testing::run_in;
using testing::tiny_recipe;
using testing::write_tiny_run;
using tigerbot::testing::error_of;
using tigerbot::testing::ScratchFolder;

TEST(Run, LearnsAndWritesWhatItShould) {
  const ScratchFolder folder;
  write_tiny_run(
      folder.path(),
      tiny_recipe(
          "",
          std::string(kOften) +
              "[validation]\nevery_steps = 5\n[[validation.set]]\nkind = \"sft\"\npath = "
              "\"rows.jsonl\"\n"
              "max_rows = 10\nlanguage = \"en\"\n[samples]\nprompts = [\"Repeat the number 3\"]\n"
              "max_new_tokens = 4\nraw = true\n"));
  const TrainResult result = run_in(folder.path());
  EXPECT_EQ(result.skipped_steps, 0);
  const auto lines = curve(folder.path());
  ASSERT_EQ(static_cast<std::int64_t>(lines.size()), result.steps);
  const auto loss = [&](std::size_t i) {
    return parse_json(split(read_file(folder / "run/metrics.jsonl"), '\n')[i], "m");
  };
  EXPECT_NEAR(loss(1).at("loss").get<double>(), std::log(258), 0.3);
  EXPECT_LT(result.loss, 3.5);
  EXPECT_EQ(list_checkpoints(folder / "run/checkpoints").size(), 2U);
  const std::string report = read_file(folder / "run/report.html");
  for (const char* part : {"Training loss", "Validation loss", "Repeat the number 3", "<svg"}) {
    EXPECT_NE(report.find(part), std::string::npos) << part;
  }
  // The exported model opens and has the last checkpoint's weights.
  const ModelFiles files = open_model(result.model);
  EXPECT_EQ(files.load_tokenizer()->size(), 258);
  const auto model = make_decoder(files.config, files.source(at::kFloat), at::kBFloat16);
  EXPECT_EQ(model->parameters().size(), 2 * 9 + 2U);
}

TEST(Run, AChangedRecipeModelOrSetIsNotGoneOnWith) {
  const ScratchFolder folder;
  write_tiny_run(folder.path(), tiny_recipe("", kOften));
  run_in(folder.path());
  EXPECT_NE(error_of([&] { run_in(folder.path()); }).find("the run is done"), std::string::npos);
  std::filesystem::remove_all(folder / "run/final");
  write_file(folder / "recipe.toml", tiny_recipe("weight_decay = 0.2\n", kOften));
  EXPECT_NE(error_of([&] { run_in(folder.path()); }).find("train.weight_decay is not what it was"),
            std::string::npos);
  write_file(folder / "recipe.toml", tiny_recipe("", kOften));
  ModelConfig config = testing::tiny_model_config();
  config.hidden_size = 64;
  config.head_dim = 16;
  write_file(folder / "model/config.json", format_model_config(config));
  EXPECT_NE(error_of([&] { run_in(folder.path()); }).find("of another model"), std::string::npos);
  write_file(folder / "model/config.json", format_model_config(testing::tiny_model_config()));
  std::string pieces = testing::tiny_tokenizer();
  const std::size_t at = pieces.find("<|im_start|>");
  pieces.replace(at, 12, "<|im_begin|>");
  pieces.replace(pieces.find("<|im_start|>"), 12, "<|im_begin|>");
  write_file(folder / "model/tokenizer.json", pieces);
  write_file(folder / "recipe.toml",
             tiny_recipe("", kOften, "", "")
                 .replace(tiny_recipe("", kOften).find("chatml"), 6, "tigerbot"));
  EXPECT_NE(error_of([&] { run_in(folder.path()); }).find("of another tokenizer"),
            std::string::npos);
}

TEST(Run, StepsWithoutAUsableGradientEndItWithTheLastGoodCheckpoint) {
  const ScratchFolder folder;
  write_tiny_run(
      folder.path(),
      tiny_recipe("learning_rate = 1e30\nclip_norm = 0.0\nmax_skipped_in_a_row = 2\n", kOften)
          .replace(0, 0, ""));
  std::string recipe = read_file(folder / "recipe.toml");
  recipe.replace(recipe.find("learning_rate = 3e-3\n"), 21, "");
  write_file(folder / "recipe.toml", recipe);
  try {
    run_in(folder.path());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_status(), 1);
    EXPECT_NE(std::string(error.what()).find("3 steps in a row had no usable gradient"),
              std::string::npos)
        << error.what();
  }
}

// --- Pretraining ---------------------------------------------------------------------------------

TEST(Run, PretrainingMeasuresEveryKindOfSetAndGoesOnToTheSameBits) {
  const char* const recipe = R"(
output = "run"
[model]
config = "model/config.json"
tokenizer = "model"
rope_theta = 500000.0
max_position_embeddings = 512
[data]
objective = "pretrain"
sequence_length = 64
instruction_share = 0.2
[[data.source]]
path = "shards/a"
[[data.source]]
path = "shards"
name = "both"
[[data.instructions]]
path = "rows.jsonl"
[train]
steps = 8
global_batch_tokens = 256
learning_rate = 3e-3
activation_checkpointing = "selective"
[checkpoint]
every_steps = 3
keep_last = 9
[validation]
every_steps = 4
[[validation.set]]
kind = "shards"
path = "shards/b.bin"
language = "zh"
[[validation.set]]
kind = "text"
path = "text.txt"
[[validation.set]]
kind = "next_token"
path = "answers.jsonl"
)";
  const ScratchFolder whole, resumed;
  for (const auto* folder : {&whole, &resumed}) {
    write_tiny_run(folder->path(), recipe);
    create_folders(*folder / "shards");
    testing::write_documents(*folder / "shards/a", 60, 0);
    testing::write_documents(*folder / "shards/b", 60, 100);
    write_file(*folder / "text.txt", std::string(300, 'x'));
    write_file(*folder / "answers.jsonl", R"({"prompt": "1+1=", "answer": "2", "language": "en"})");
    run_in(folder->path());
  }
  EXPECT_EQ(curve(whole.path()).size(), 8U);
  const std::string text = read_file(whole / "run/metrics.jsonl");
  for (const char* part : {"\"next_token_accuracy\":{\"answers\":", "\"loss_by_language\":{\"en\":",
                           "\"instructions\":", "\"kind\":\"validation\""}) {
    EXPECT_NE(text.find(part), std::string::npos) << part;
  }
  std::filesystem::remove_all(resumed / "run/final");
  std::filesystem::remove_all(resumed / "run/checkpoints/step-00000008");
  std::filesystem::remove_all(resumed / "run/checkpoints/step-00000006");
  run_in(resumed.path());
  EXPECT_EQ(curve(resumed.path()), curve(whole.path()));
  expect_same_weights(resumed / "run/final", whole / "run/final");
  const ModelFiles files = open_model(whole / "run/final");
  EXPECT_EQ(files.config.rope_theta, 500000.0);
  EXPECT_EQ(files.config.max_position_embeddings, 512);
}

std::string shuffled_recipe(const std::string& data, const std::string& train) {
  return "output = \"run\"\n[model]\nconfig = \"model/config.json\"\ntokenizer = \"model\"\n"
         "[data]\nobjective = \"pretrain\"\nsequence_length = 64\n" +
         data + "[[data.source]]\npath = \"shard\"\n[train]\nglobal_batch_tokens = 256\n" + train;
}

TEST(Run, ShuffleAndPackingOfPretrainingAreTheRecipes) {
  std::set<std::string> losses;
  for (const auto& [data, expected] :
       {std::pair("", R"("packing":"split")"),
        std::pair("shuffle = \"windows\"\n", R"("shuffle":"windows")"),
        std::pair("shuffle = \"none\"\n", R"("shuffle":"none")"),
        std::pair("packing = \"whole\"\n", R"("packing":"whole")")}) {
    const ScratchFolder folder;
    write_tiny_run(folder.path(), shuffled_recipe(data, "steps = 1\n"));
    testing::write_documents(folder / "shard", 60, 0);
    run_in(folder.path());
    const Json state =
        parse_json(read_file(folder / "run/checkpoints/step-00000001/state.json"), "state");
    EXPECT_NE(state["data"].dump().find(expected), std::string::npos) << state["data"].dump();
    losses.insert(curve(folder.path()).at(0));
  }
  EXPECT_EQ(losses.size(), 4U);
  const ScratchFolder folder;
  write_tiny_run(folder.path(), shuffled_recipe("packing = \"whole\"\n", ""));
  testing::write_documents(folder / "shard", 60, 0);
  EXPECT_NE(error_of([&] { run_in(folder.path()); }).find("train.steps: say how many"),
            std::string::npos);
}

// --- Adapters and chosen parameters --------------------------------------------------------------

/// A finished run whose model the next one starts from.
std::filesystem::path base_model(const ScratchFolder& folder) {
  write_tiny_run(folder.path(), tiny_recipe("steps = 5\n"));
  return run_in(folder.path()).model;
}

std::string go_on_recipe(const std::filesystem::path& base, const std::string& model,
                         const std::string& rest) {
  std::string recipe = tiny_recipe("steps = 6\n", rest);
  const std::size_t begin = recipe.find("config = ");
  recipe.replace(begin, recipe.find("[data]") - begin,
                 "path = \"" + base.string() + "\"\n" + model + "\n");
  return recipe;
}

TEST(Run, AdaptersAloneChangeAndMergeIntoTheModel) {
  const ScratchFolder base_folder, folder;
  const auto base = base_model(base_folder);
  write_tiny_run(folder.path(),
                 go_on_recipe(base, "dtype = \"float32\"",
                              "[lora]\nrank = 4\ntarget_modules = [\"q_proj\", \"up_proj\"]\n"
                              "dropout = 0.1\nmerge = true\n"));
  const TrainResult result = run_in(folder.path());
  const TensorSet adapter = open_safetensors(result.model / "adapter_model.safetensors");
  EXPECT_EQ(adapter.tensors().size(), 2 * 2 * 2U);
  EXPECT_NE(adapter.find("base_model.model.model.layers.1.mlp.up_proj.lora_B.weight"), nullptr);
  const TensorSet before = open_safetensors_folder(base);
  const TensorSet after = open_safetensors_folder(folder / "run/final");
  for (const StoredTensor& tensor : before.tensors()) {
    const bool adapted = tensor.name.find("q_proj") != std::string::npos ||
                         tensor.name.find("up_proj") != std::string::npos;
    const at::Tensor old = tensor.load(at::kFloat).to(at::kFloat);
    const at::Tensor now = after.find(tensor.name)->load(at::kFloat).to(at::kFloat);
    EXPECT_EQ(at::equal(old, now), !adapted) << tensor.name;
  }
  // The adapter opens again, on the model that it was trained for.
  const ModelFiles files = open_model(base);
  const auto model = make_decoder(files.config, files.source(at::kFloat), at::kFloat);
  const auto loaded = LoraAdapters::load(*model, result.model);
  EXPECT_EQ(loaded->parameters().size(), 8U);
  loaded->merge(*model);
  for (const Parameter& parameter : model->parameters()) {
    const at::Tensor merged = after.find(parameter.name)->load(at::kFloat).to(at::kFloat);
    EXPECT_TRUE(parameter.tensor->allclose(merged, 1e-5, 1e-6)) << parameter.name;
  }
}

TEST(Run, OnlyTheChosenRowsChange) {
  const ScratchFolder base_folder, folder;
  const auto base = base_model(base_folder);
  write_tiny_run(folder.path(),
                 go_on_recipe(base, "trainable = [\"model.embed_tokens.weight[256:]\"]", ""));
  const TrainResult result = run_in(folder.path());
  const TensorSet before = open_safetensors_folder(base);
  const TensorSet after = open_safetensors_folder(result.model);
  for (const StoredTensor& tensor : before.tensors()) {
    const at::Tensor old = tensor.load(at::kFloat);
    const at::Tensor now = after.find(tensor.name)->load(at::kFloat);
    if (tensor.name != "model.embed_tokens.weight") {
      EXPECT_TRUE(at::equal(old, now)) << tensor.name;
      continue;
    }
    EXPECT_TRUE(at::equal(old.narrow(0, 0, 256), now.narrow(0, 0, 256)));
    EXPECT_FALSE(at::equal(old.narrow(0, 256, 2), now.narrow(0, 256, 2)));
  }
}

// --- Export
// ---------------------------------------------------------------------------------------

/// Logits of a few tokens.
at::Tensor logits_of(Decoder& model) {
  const at::NoGradGuard no_grad;
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 40; ++i) ids.push_back(i * 31 % 258);
  const at::Tensor hidden = model.forward(at::tensor(ids), make_sequences({25, 15}, at::kCPU));
  return model.logits(hidden);
}

at::Tensor logits_of_folder(const std::filesystem::path& folder, at::ScalarType dtype) {
  const ModelFiles files = open_model(folder);
  return logits_of(*make_decoder(files.config, files.source(dtype), dtype));
}

TEST(Run, EveryCheckpointExportsToAModelWithTheSameLogits) {
  const ScratchFolder folder;
  write_tiny_run(folder.path(), tiny_recipe("steps = 8\n", kOften));
  run_in(folder.path());
  const auto found = list_checkpoints(folder / "run/checkpoints");
  ASSERT_EQ(found.size(), 2U);
  std::vector<at::Tensor> logits;
  for (const auto& checkpoint : found) {
    const auto model =
        make_decoder(testing::tiny_model_config(), random_weights(1, 1.0), at::kBFloat16);
    Optimizer optimizer(choose_parameters(*model, {"all"}, "test"), {});
    load_tensors(open_checkpoint(checkpoint), optimizer);
    logits.push_back(logits_of(*model));
    const auto exported = folder / ("exported-" + checkpoint.filename().string());
    export_checkpoint(checkpoint, exported, false);
    EXPECT_TRUE(at::equal(logits_of_folder(exported, at::kBFloat16), logits.back()));
  }
  EXPECT_FALSE(at::equal(logits[0], logits[1]));
}

TEST(Run, AMergedAdapterExportsToAModelWithTheSameLogits) {
  const ScratchFolder base_folder, folder;
  const auto base = base_model(base_folder);
  write_tiny_run(folder.path(),
                 go_on_recipe(base, "dtype = \"float32\"",
                              "[lora]\nrank = 4\ntarget_modules = [\"all-linear\"]\n"));
  const TrainResult result = run_in(folder.path());
  const ModelFiles files = open_model(base);
  const auto model = make_decoder(files.config, files.source(at::kFloat), at::kFloat);
  const auto adapters = LoraAdapters::load(*model, result.model);
  // PEFT takes this name as a string, not in a list.
  EXPECT_EQ(read_json_file(result.model / "adapter_config.json").at("target_modules"),
            "all-linear");
  const at::Tensor expected = logits_of(*model);
  export_checkpoint(list_checkpoints(folder / "run/checkpoints").back(), folder / "merged", true);
  const at::Tensor merged = logits_of_folder(folder / "merged", at::kFloat);
  EXPECT_TRUE(merged.allclose(expected, 1e-5, 1e-5));
  EXPECT_FALSE(logits_of_folder(base, at::kFloat).allclose(expected, 1e-5, 1e-5));
}

// --- Bad input -----------------------------------------------------------------------------------

std::string error_of_recipe(const std::string& recipe) {
  const ScratchFolder folder;
  write_tiny_run(folder.path(), recipe);
  return error_of([&] { run_in(folder.path()); });
}

TEST(Run, MistakesOfTheRecipeAreOneLineEach) {
  const auto has = [](const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  has(error_of_recipe(tiny_recipe("leaning_rate = 1.0\n")), "leaning_rate");
  has(error_of_recipe(tiny_recipe("beta1 = 2.0\n")), "train.beta1 must be in [0, 1)");
  has(error_of_recipe(tiny_recipe("warmup_steps = 2\nwarmup_share = 0.1\n")), "give one of them");
  has(error_of_recipe(tiny_recipe("schedule = \"cosin\"\n")), "did you mean \"cosine\"?");
  has(error_of_recipe(tiny_recipe("", "", "batching = \"packed\"\n")), "data.batching");
  has(error_of_recipe(tiny_recipe("", "", "", "path = \"x\"\n")), "not both");
  has(error_of_recipe(tiny_recipe("", "", "", "trainable = [\"model.norm.wieght\"]\n")),
      "did you mean \"model.norm.weight\"?");
  has(error_of_recipe(tiny_recipe("", "[lora]\ntarget_modules = [\"q_pro\"]\n")),
      "the model has no \"q_pro\"");
  std::string recipe = tiny_recipe();
  recipe.replace(recipe.find("rows.jsonl"), 10, "none.jsonl");
  has(error_of_recipe(recipe), "is not there");
  recipe = tiny_recipe();
  recipe.replace(recipe.find("sequence_length = 96"), 20, "sequence_length = 512");
  has(error_of_recipe(recipe), "global_batch_tokens");
  has(error_of_recipe(tiny_recipe("micro_batch_sequences = 100000000\n")), "training needs about");
}

TEST(Run, AnEmptySetIsOneLine) {
  const ScratchFolder folder;
  write_tiny_run(folder.path(), tiny_recipe());
  write_file(folder / "rows.jsonl", "\n");
  EXPECT_NE(error_of([&] { run_in(folder.path()); }).find("the file is empty"), std::string::npos);
}

TEST(Run, APlanSaysWhatItWouldTake) {
  const ScratchFolder folder;
  write_tiny_run(folder.path(), tiny_recipe());
  const Json plan = plan_run(read_recipe(folder / "recipe.toml"), *make_solo_communicator());
  EXPECT_EQ(plan.at("parameters").get<int>(),
            258 * 32 + 2 * (32 * 32 * 2 + 16 * 32 * 2 + 3 * 32 * 48 + 64) + 32);
  EXPECT_EQ(plan.at("trained_parameters"), plan.at("parameters"));
  EXPECT_GT(plan.at("steps").get<int>(), 10);
  EXPECT_GT(plan.at("dense_peak").get<double>(), 1e8);
  EXPECT_GT(plan.at("step_seconds").get<double>(), 0);
  EXPECT_DOUBLE_EQ(plan.at("seconds").get<double>(),
                   plan.at("step_seconds").get<double>() * plan.at("steps").get<double>());
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

}  // namespace
}  // namespace tigerbot::train
