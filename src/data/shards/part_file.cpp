#include "data/shards/part_file.h"

#include <cstring>

#include "base/error.h"
#include "base/files.h"

namespace tigerbot::data {
namespace {

constexpr std::string_view kMagic("TBPART1\n", 8);

}  // namespace

void write_part(const std::filesystem::path& path, const TokenizedPart& part) {
  Json groups = Json::array();
  for (const auto& [name, group] : part.groups)
    groups.push_back({{"name", name},
                      {"total", shard_count_json(group.total)},
                      {"sources", shard_counts_json(group.by_source)},
                      {"languages", shard_counts_json(group.by_language)},
                      {"ids", group.ids.size()}});
  const std::string header = Json{
      {"groups", groups},
      {"empty_documents", part.empty_documents},
      {"bad_rows",
       part.bad_rows}}.dump();
  AtomicFile file(path);
  file.write(kMagic);
  const std::uint64_t size = header.size();
  file.write({reinterpret_cast<const char*>(&size), sizeof size});
  file.write(header);
  for (const auto& [name, group] : part.groups) {
    file.write({reinterpret_cast<const char*>(group.lengths.data()),
                group.lengths.size() * sizeof(std::int32_t)});
    file.write(group.ids);
  }
  file.commit();
}

PartHeader read_part_header(std::string_view bytes, const std::string& path) {
  const auto damaged = [&]() {
    fail("{}: a part of an unfinished run is damaged; delete it and run again", path);
  };
  std::uint64_t size = 0;
  if (bytes.size() < kMagic.size() + sizeof size || !bytes.starts_with(kMagic)) damaged();
  std::memcpy(&size, bytes.data() + kMagic.size(), sizeof size);
  std::uint64_t at = kMagic.size() + sizeof size;
  if (size > bytes.size() - at) damaged();
  const Json json = parse_json(bytes.substr(at, size), path);
  at += size;
  JsonReader reader(json, path);
  PartHeader header;
  header.empty_documents = reader.get<std::uint64_t>("empty_documents");
  header.bad_rows = reader.get<std::uint64_t>("bad_rows");
  for (JsonReader& entry : reader.objects("groups")) {
    PartHeader::Group& group = header.groups[entry.get<std::string>("name")];
    group.total = read_shard_count(entry.object("total"));
    group.by_source = read_shard_counts(entry.object("sources"));
    group.by_language = read_shard_counts(entry.object("languages"));
    group.ids_size = entry.get<std::uint64_t>("ids");
    entry.finish();
    group.lengths_begin = at;
    group.lengths_size = group.total.documents * sizeof(std::int32_t);
    if (group.total.documents > bytes.size() || group.lengths_size > bytes.size() - at) damaged();
    at += group.lengths_size;
    group.ids_begin = at;
    if (group.ids_size > bytes.size() - at) damaged();
    at += group.ids_size;
  }
  reader.finish();
  if (at != bytes.size()) damaged();
  return header;
}

}  // namespace tigerbot::data
