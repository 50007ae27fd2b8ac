#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/jinja/value.h"

namespace tigerbot::jinja {

/// The state of one rendering: the names in sight, the output, and what is left of the work that a
/// template may do. A template that loops or recurses without end is an error, not a hang.
class Context {
 public:
  explicit Context(std::vector<std::pair<std::string, Value>> globals);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// The innermost value of a name; undefined (and remembering the name) where it has none.
  Value lookup(const std::string& name) const;
  /// Sets a name in the innermost scope.
  void set(const std::string& name, Value value);

  void push_scope() { scopes_.emplace_back(); }
  void pop_scope() { scopes_.pop_back(); }
  std::size_t depth() const { return scopes_.size(); }

  /// A new namespace object; the context breaks its cycles at the end.
  std::shared_ptr<Namespace> make_namespace();

  /// Where output goes now.
  std::string& output() { return *output_; }
  /// Sends output elsewhere; gives the place before.
  std::string* redirect(std::string* output) { return std::exchange(output_, output); }

  /// Counts work (a step, or bytes and items made) against the limit.
  void charge(std::size_t amount);

  /// Hides the scopes above the first `depth` while a macro runs; see MacroFrame.
  friend class MacroFrame;

 private:
  using Scope = std::vector<std::pair<std::string, Value>>;
  std::vector<Scope> scopes_;
  std::vector<std::shared_ptr<Namespace>> namespaces_;
  std::string result_;
  std::string* output_ = &result_;
  std::size_t work_ = 0;
  int calls_ = 0;
};

/// A macro's body sees the scopes around its definition, not those around its call.
class MacroFrame {
 public:
  MacroFrame(Context& context, std::size_t depth);
  ~MacroFrame();
  MacroFrame(const MacroFrame&) = delete;
  MacroFrame& operator=(const MacroFrame&) = delete;

 private:
  Context& context_;
  std::vector<Context::Scope> hidden_;
};

}  // namespace tigerbot::jinja
