#include "architecture/arrows.h"

#include <fmt/format.h>

#include <functional>
#include <regex>
#include <sstream>

#include "base/files.h"

namespace tigerbot::testing {
namespace {

// base <- ops <- {model, tokenizer, parallel} <- {weights, data, quant, infer, train}
//      <- {align, eval, safety, apps, workflow} <- serve <- cli
const std::map<std::string, int> kLevels{
    {"base", 0},   {"ops", 1},   {"model", 2},    {"tokenizer", 2}, {"parallel", 2}, {"weights", 3},
    {"data", 3},   {"quant", 3}, {"infer", 3},    {"train", 3},     {"align", 4},    {"eval", 4},
    {"safety", 4}, {"apps", 4},  {"workflow", 4}, {"serve", 5},     {"cli", 6}};

// Written by the build, not in the tree.
const std::set<std::string> kGenerated{"base/git_commit.h"};

std::string folder_of(const std::string& path) { return path.substr(0, path.find('/')); }

bool is_tensor_header(const std::string& path) {
  return path.starts_with("ATen/") || path.starts_with("c10/") || path.starts_with("torch/");
}

std::string without_comments(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text.compare(at, 2, "//") == 0) {
      at = text.find('\n', at);
    } else if (text.compare(at, 2, "/*") == 0) {
      at = text.find("*/", at + 2);
      if (at != std::string::npos) ++at;
    } else {
      out += text[at];
      continue;
    }
    if (at == std::string::npos) break;
    out += '\n';
  }
  return out;
}

/// The folders on a circle of the graph, "a -> b -> a", or "".
std::string find_circle(const std::map<std::string, std::set<std::string>>& graph) {
  std::set<std::string> done;
  std::vector<std::string> way;
  std::function<std::string(const std::string&)> visit = [&](const std::string& folder) {
    for (std::size_t k = 0; k < way.size(); ++k) {
      if (way[k] != folder) continue;
      std::string circle;
      for (; k < way.size(); ++k) circle += way[k] + " -> ";
      return circle + folder;
    }
    if (done.contains(folder)) return std::string();
    way.push_back(folder);
    if (const auto next = graph.find(folder); next != graph.end())
      for (const auto& to : next->second)
        if (std::string circle = visit(to); !circle.empty()) return circle;
    way.pop_back();
    done.insert(folder);
    return std::string();
  };
  for (const auto& [folder, unused] : graph)
    if (std::string circle = visit(folder); !circle.empty()) return circle;
  return "";
}

}  // namespace

Includes parse_includes(const std::string& text) {
  static const std::regex directive(R"re(^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>))re");
  Includes includes;
  std::istringstream lines(without_comments(text));
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (!std::regex_search(line, match, directive)) continue;
    if (match[1].matched) includes.own.push_back(match[1]);
    if (match[2].matched) includes.foreign.push_back(match[2]);
  }
  return includes;
}

SourceTree read_sources(const std::filesystem::path& src) {
  static const std::set<std::string> kinds{".h", ".hpp", ".cpp", ".cc", ".inc", ".inl"};
  SourceTree tree;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(src)) {
    if (!entry.is_regular_file() || !kinds.contains(entry.path().extension())) continue;
    tree[std::filesystem::relative(entry.path(), src).generic_string()] =
        parse_includes(read_file(entry.path()));
  }
  return tree;
}

std::vector<std::string> broken_arrows(const SourceTree& tree) {
  std::vector<std::string> broken;
  std::map<std::string, std::set<std::string>> graph;
  for (const auto& [file, includes] : tree) {
    const std::string from = folder_of(file);
    if (!kLevels.contains(from)) {
      broken.push_back(fmt::format("{}: folder \"{}\" has no place in the order", file, from));
      continue;
    }
    for (const auto& include : includes.own) {
      if (!tree.contains(include) && !kGenerated.contains(include)) {
        broken.push_back(fmt::format("{}: \"{}\" is no path from src/", file, include));
        continue;
      }
      const std::string to = folder_of(include);
      if (to != from) graph[from].insert(to);
      if (kLevels.contains(to) && kLevels.at(to) > kLevels.at(from))
        broken.push_back(fmt::format("{}: includes \"{}\" from above", file, include));
    }
    for (const auto& include : includes.foreign)
      if (include == "torch/torch.h" || include == "torch/all.h")
        broken.push_back(fmt::format("{}: includes all of torch", file));
  }
  if (const std::string circle = find_circle(graph); !circle.empty())
    broken.push_back("folders include one another: " + circle);
  return broken;
}

std::vector<std::string> tensor_includes(const SourceTree& tree,
                                         const std::set<std::string>& folders) {
  std::map<std::string, std::string> way;  // file -> how it reaches a tensor header, "" if not
  std::function<std::string(const std::string&)> reach = [&](const std::string& file) {
    if (const auto known = way.find(file); known != way.end()) return known->second;
    way[file] = "";  // ends circles of includes
    const auto at = tree.find(file);
    if (at == tree.end()) return std::string();
    for (const auto& include : at->second.foreign)
      if (is_tensor_header(include)) return way[file] = fmt::format("{} -> {}", file, include);
    for (const auto& include : at->second.own)
      if (const std::string next = reach(include); !next.empty())
        return way[file] = fmt::format("{} -> {}", file, next);
    return std::string();
  };
  std::vector<std::string> found;
  for (const auto& [file, includes] : tree)
    if (folders.contains(folder_of(file)))
      if (const std::string route = reach(file); !route.empty()) found.push_back(route);
  return found;
}

}  // namespace tigerbot::testing
