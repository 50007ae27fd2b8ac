#include "data/stages/text_classifier.h"

#include <fasttext/fasttext.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <fstream>
#include <numeric>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "base/text.h"
#include "data/stages/characters.h"

namespace tigerbot::data {
namespace {

constexpr std::string_view kLabelPrefix = "__label__";

/// A folder for fastText, which reads and writes files by name; gone with the object.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "tigerbot-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      fail_internal("{}: can't make a temporary folder",
                    std::filesystem::temp_directory_path().string());
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

std::string classifier_tokens(std::string_view text, std::size_t most_tokens) {
  const CharacterClass* const classes = character_classes();
  std::string out;
  out.reserve(std::min<std::size_t>(text.size() * 4 / 3, most_tokens * 8));
  std::size_t tokens = 0;
  bool in_word = false, in_number = false;
  const auto begin_token = [&] {
    if (!out.empty()) out += ' ';
    ++tokens;
  };
  const unsigned char* const end = bytes_of(text) + text.size();
  for (const unsigned char* at = bytes_of(text); at < end && tokens < most_tokens;) {
    const unsigned char* const start = at;
    const char32_t c = next_character(at, end);
    const CharacterClass kind = class_of(classes, c);
    const std::string_view bytes(reinterpret_cast<const char*>(start),
                                 static_cast<std::size_t>(at - start));
    const bool syllable = (kind & kIdeographic) != 0 || script_of(kind) == Script::kHangul;
    if ((kind & kLetter) != 0 && !syllable) {
      if (!in_word) begin_token();
      in_word = true;
      in_number = false;
      if (c >= 'A' && c <= 'Z')
        out += static_cast<char>(c | 0x20);
      else
        out += bytes;
      continue;
    }
    in_word = false;
    if ((kind & kDigit) != 0) {
      if (!in_number) {
        begin_token();
        out += '0';
      }
      in_number = true;
      continue;
    }
    in_number = false;
    if (c == '\n') {
      begin_token();
      out += "<n>";
    } else if ((kind & (kSpace | kClean)) == 0) {
      begin_token();
      out += bytes;
    }
  }
  return out;
}

struct TextClassifier::Impl {
  fasttext::FastText model;
};

TextClassifier::TextClassifier(const std::filesystem::path& path)
    : impl_(std::make_unique<Impl>()) {
  size_of_file(path);  // says what is wrong with the path
  try {
    impl_->model.loadModel(path.string());
  } catch (const std::exception& error) {
    fail("{}: not a fastText model ({})", path.string(), error.what());
  }
  if (impl_->model.getArgs().model != fasttext::model_name::sup)
    fail(
        "{}: a fastText model of word vectors, not of labels; train one with "
        "`tigerbot data train-quality`",
        path.string());
  const auto dictionary = impl_->model.getDictionary();
  for (int k = 0; k < dictionary->nlabels(); ++k) {
    std::string label = dictionary->getLabel(k);
    if (label.starts_with(kLabelPrefix)) label.erase(0, kLabelPrefix.size());
    labels_.push_back(std::move(label));
  }
}

TextClassifier::~TextClassifier() = default;
TextClassifier::TextClassifier(TextClassifier&&) noexcept = default;

double TextClassifier::probability(std::string_view text, std::string_view label) const {
  if (std::find(labels_.begin(), labels_.end(), label) == labels_.end())
    fail("the model has no label {}{}", quote(label), did_you_mean(label, labels_));
  std::istringstream line(classifier_tokens(text) + "\n");
  std::vector<std::pair<fasttext::real, std::string>> predictions;
  // A text without a known token has no prediction: nothing speaks for the label.
  if (!impl_->model.predictLine(line, predictions, static_cast<int>(labels_.size()), 0)) return 0;
  for (const auto& [probability, name] : predictions)
    if (name.size() == kLabelPrefix.size() + label.size() && name.ends_with(label))
      return std::clamp(static_cast<double>(probability), 0.0, 1.0);
  return 0;
}

void train_text_classifier(const std::vector<LabelledText>& texts,
                           const ClassifierTraining& settings, const std::filesystem::path& model,
                           const std::function<void(double)>& on_progress) {
  std::set<std::string> labels;
  for (const LabelledText& text : texts) {
    if (text.label.find_first_of(" \t\r\n") != std::string::npos || text.label.empty())
      fail("the label {} is empty or has white space", quote(text.label));
    labels.insert(text.label);
  }
  if (labels.size() < 2)
    fail("training needs texts of at least two labels, not {}",
         labels.empty() ? "none" : *labels.begin());

  const ScratchFolder scratch;
  const std::filesystem::path input = scratch.path() / "train.txt";
  {
    // Mixed, so that no label comes last and is learnt best.
    std::vector<std::size_t> order(texts.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    RandomStream random{settings.seed, 1};
    for (std::size_t k = order.size(); k > 1; --k) std::swap(order[k - 1], order[random.below(k)]);
    AtomicFile file(input);
    for (const std::size_t k : order)
      file.write(
          fmt::format("{}{} {}\n", kLabelPrefix, texts[k].label, classifier_tokens(texts[k].text)));
    file.commit();
  }
  fasttext::Args args;
  args.input = input.string();
  args.output = (scratch.path() / "model").string();
  args.model = fasttext::model_name::sup;
  args.loss = fasttext::loss_name::softmax;
  args.dim = settings.dimension;
  args.epoch = settings.epochs;
  args.lr = settings.learning_rate;
  args.wordNgrams = settings.word_ngrams;
  args.bucket = settings.buckets;
  args.minCount = settings.min_count;
  args.minCountLabel = 0;
  args.minn = args.maxn = 0;
  args.seed = static_cast<int>(settings.seed & 0x7FFFFFFF);
  args.thread = 1;
  args.verbose = 0;
  try {
    fasttext::FastText trained;
    trained.train(args, [&](float progress, float, double, double, std::int64_t) {
      if (on_progress) on_progress(progress);
    });
    trained.saveModel(args.output + ".bin");
  } catch (const std::exception& error) {
    fail_internal("{}: fastText could not train ({})", model.string(), error.what());
  }
  write_file(model, read_file(args.output + ".bin"));
}

}  // namespace tigerbot::data
