#include "data/readers/html_tree.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace tigerbot::data {
namespace {

/// Gumbo's memory. Nothing is given back one by one: all goes at once, without the walk over the
/// tree that gumbo would do (which recurses, and takes as long as the parsing).
class Arena {
 public:
  void* allocate(std::size_t size) {
    size = (size + 15) / 16 * 16;
    if (size > left_) {
      const std::size_t block = std::max(size, kBlock);
      blocks_.push_back(std::make_unique<char[]>(block));
      at_ = blocks_.back().get();
      left_ = block;
    }
    char* const out = at_;
    at_ += size;
    left_ -= size;
    return out;
  }

 private:
  static constexpr std::size_t kBlock = 1 << 18;
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* at_ = nullptr;
  std::size_t left_ = 0;
};

void* allocate_in_arena(void* arena, std::size_t size) {
  return static_cast<Arena*>(arena)->allocate(size);
}
void keep_in_arena(void* /*arena*/, void* /*memory*/) {}

void set_attributes(HtmlNode& node, const GumboElement& element) {
  for (unsigned k = 0; k < element.attributes.length; ++k) {
    const auto* attribute = static_cast<const GumboAttribute*>(element.attributes.data[k]);
    const std::string_view name = attribute->name, value = attribute->value;
    if (name == "class" || name == "id")
      (node.mark += node.mark.empty() ? "" : " ") += value;
    else if (name == "role")
      node.role = value;
    else if (name == "style")
      node.style = value;
    else if (name == "property" || name == "name")
      node.property = value;
    else if (name == "content")
      node.content = value;
    else if (name == "lang")
      node.language = value;
    else if (name == "rel")
      node.relation = value;
    else if (name == "start")
      node.start = std::atoi(attribute->value);
    else if (name == "hidden" || (name == "aria-hidden" && value == "true"))
      node.hidden = true;
  }
}

void append(HtmlTree& tree, const GumboNode& node, std::int32_t parent) {
  HtmlNode out;
  out.parent = parent;
  const GumboVector* children = nullptr;
  switch (node.type) {
    case GUMBO_NODE_TEXT:
    case GUMBO_NODE_WHITESPACE:
    case GUMBO_NODE_CDATA:
      out.is_text = true;
      out.text = node.v.text.text;
      break;
    case GUMBO_NODE_ELEMENT:
    case GUMBO_NODE_TEMPLATE: {
      const GumboElement& element = node.v.element;
      out.tag = element.tag;
      children = &element.children;
      set_attributes(out, element);
      break;
    }
    default:
      return;
  }
  const auto index = static_cast<std::int32_t>(tree.size());
  tree.push_back(std::move(out));
  if (parent >= 0) tree[static_cast<std::size_t>(parent)].children.push_back(index);
  if (children == nullptr) return;
  for (unsigned k = 0; k < children->length; ++k)
    append(tree, *static_cast<const GumboNode*>(children->data[k]), index);
}

}  // namespace

HtmlTree parse_html(std::string_view markup) {
  Arena arena;
  GumboOptions options = kGumboDefaultOptions;
  options.allocator = allocate_in_arena;
  options.deallocator = keep_in_arena;
  options.userdata = &arena;
  options.max_errors = 0;
  const GumboOutput* const output =
      gumbo_parse_with_options(&options, markup.data(), markup.size());
  HtmlTree tree;
  append(tree, *output->root, -1);
  return tree;
}

}  // namespace tigerbot::data
