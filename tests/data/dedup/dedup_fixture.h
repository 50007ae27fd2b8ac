#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "base/files.h"
#include "data/dedup/exact_duplicates.h"
#include "data/dedup/near_duplicates.h"
#include "data/document_file.h"
#include "parallel/communicator.h"

namespace tigerbot::data {

/// Units of documents in a folder of their own, and the phases over them.
class DedupFixture : public ::testing::Test {
 protected:
  /// (unit, document, unit kept, document kept) of each dropped document.
  using Found = std::vector<std::tuple<std::size_t, std::uint64_t, std::uint32_t, std::uint64_t>>;

  void SetUp() override {
    std::filesystem::remove_all(folder_);
    create_folders(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static Document document_of(std::string text) {
    Document document;
    document.text = std::move(text);
    return document;
  }

  void add_documents(const std::vector<Document>& documents, bool earlier = false) {
    const std::string name = std::to_string(units_.size());
    DedupUnit unit{folder_ / (name + ".documents"), folder_ / (name + ".fingerprints"), earlier};
    DocumentFileWriter writer(unit.documents);
    FingerprintWriter fingerprints(unit.fingerprints, fingerprint_settings_);
    for (const Document& document : documents) {
      writer.append(document);
      fingerprints.append(document);
    }
    writer.commit();
    fingerprints.commit();
    units_.push_back(unit);
  }
  void add_unit(const std::vector<std::string>& texts, bool earlier = false) {
    std::vector<Document> documents;
    for (const std::string& text : texts) documents.push_back(document_of(text));
    add_documents(documents, earlier);
  }

  /// A context with a new work folder.
  DedupContext context(const std::string& name) {
    const auto folder = folder_ / (name + std::to_string(calls_++));
    create_folders(folder);
    return {*communicator_, threads_, memory_limit_, folder, false};
  }

  static Found found_in(const std::vector<std::filesystem::path>& paths) {
    Found found;
    for (std::size_t unit = 0; unit < paths.size(); ++unit)
      for (const DuplicateDecision& decision : read_duplicate_decisions(paths[unit]))
        found.emplace_back(unit, decision.document, decision.kept_unit, decision.kept_document);
    return found;
  }

  /// One phase's decisions as the next phase takes them.
  static std::vector<std::vector<std::filesystem::path>> by_unit(
      const std::vector<std::filesystem::path>& paths) {
    std::vector<std::vector<std::filesystem::path>> dropped;
    for (const auto& path : paths) dropped.push_back({path});
    return dropped;
  }
  Found exact() { return found_in(find_exact_duplicates(units_, context("exact"))); }
  /// Near duplicates, after exact ones have gone.
  Found near() {
    const auto dropped = by_unit(find_exact_duplicates(units_, context("exact")));
    return found_in(find_near_duplicates(units_, dropped, near_settings_, context("near")));
  }

  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("tigerbot_dedup_" + std::to_string(::getpid()));
  std::unique_ptr<Communicator> communicator_ = make_solo_communicator();
  std::vector<DedupUnit> units_;
  FingerprintSettings fingerprint_settings_;
  NearDuplicateSettings near_settings_;
  int threads_ = 2;
  std::uint64_t memory_limit_ = 256 << 20;
  int calls_ = 0;
};

}  // namespace tigerbot::data
