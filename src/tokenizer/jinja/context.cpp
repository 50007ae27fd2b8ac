#include "tokenizer/jinja/context.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"

namespace tigerbot::jinja {

namespace {
constexpr std::size_t kMaxWork = std::size_t{1} << 27;
constexpr int kMaxCalls = 64;
}  // namespace

Context::Context(std::vector<std::pair<std::string, Value>> globals) {
  scopes_.push_back(std::move(globals));
}

Context::~Context() {
  for (const auto& space : namespaces_) space->attributes.items.clear();
}

Value Context::lookup(const std::string& name) const {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    for (const auto& [key, value] : *scope) {
      if (key == name) return value;
    }
  }
  return Value(Undefined{name});
}

void Context::set(const std::string& name, Value value) {
  for (auto& [key, old] : scopes_.back()) {
    if (key == name) {
      old = std::move(value);
      return;
    }
  }
  scopes_.back().emplace_back(name, std::move(value));
}

std::shared_ptr<Namespace> Context::make_namespace() {
  charge(64);
  namespaces_.push_back(std::make_shared<Namespace>());
  return namespaces_.back();
}

void Context::charge(std::size_t amount) {
  work_ += std::min(amount, kMaxWork);
  if (work_ > kMaxWork) {
    fail("chat template: it does too much work (an endless loop?); rendering stopped");
  }
}

MacroFrame::MacroFrame(Context& context, std::size_t depth) : context_(context) {
  if (++context_.calls_ > kMaxCalls) {
    --context_.calls_;
    fail("chat template: macros call each other more than {} deep", kMaxCalls);
  }
  auto& scopes = context_.scopes_;
  const auto first = scopes.begin() + static_cast<std::ptrdiff_t>(std::min(depth, scopes.size()));
  hidden_.assign(std::make_move_iterator(first), std::make_move_iterator(scopes.end()));
  scopes.erase(first, scopes.end());
  scopes.emplace_back();
}

MacroFrame::~MacroFrame() {
  auto& scopes = context_.scopes_;
  scopes.pop_back();
  scopes.insert(scopes.end(), std::make_move_iterator(hidden_.begin()),
                std::make_move_iterator(hidden_.end()));
  --context_.calls_;
}

}  // namespace tigerbot::jinja
