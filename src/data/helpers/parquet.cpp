// tigerbot-read-parquet CPU_SECONDS MEMORY_BYTES FILE [COLUMN]: the rows of a Parquet file on
// stdout as JSON lines, all columns or the one named. Rows before a damage are written.

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/exception.h>

#include <cmath>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "data/helpers/limits.h"

namespace {

using tigerbot::data::give_up;

void append_string(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += '"';
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    out += text.substr(begin, at - begin);
    begin = at + 1;
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += text[at];
    } else if (byte == '\n') {
      out += "\\n";
    } else {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  out += text.substr(begin);
  out += '"';
}

void append_value(std::string& out, const arrow::Array& array, std::int64_t row);

template <typename Array>
void append_text(std::string& out, const arrow::Array& array, std::int64_t row) {
  append_string(out, static_cast<const Array&>(array).GetView(row));
}

template <typename Array>
void append_integer(std::string& out, const arrow::Array& array, std::int64_t row) {
  out += std::to_string(static_cast<const Array&>(array).Value(row));
}

void append_real(std::string& out, double value) {
  out += std::isfinite(value) ? fmt::format("{}", value) : "null";
}

template <typename Array>
void append_list(std::string& out, const arrow::Array& array, std::int64_t row) {
  const auto& list = static_cast<const Array&>(array);
  out += '[';
  for (auto at = list.value_offset(row); at < list.value_offset(row + 1); ++at) {
    if (at > list.value_offset(row)) out += ',';
    append_value(out, *list.values(), at);
  }
  out += ']';
}

void append_struct(std::string& out, const arrow::Array& array, std::int64_t row) {
  const auto& fields = static_cast<const arrow::StructArray&>(array);
  out += '{';
  for (int k = 0; k < fields.num_fields(); ++k) {
    if (k > 0) out += ',';
    append_string(out, fields.type()->field(k)->name());
    out += ':';
    append_value(out, *fields.field(k), row);
  }
  out += '}';
}

void append_value(std::string& out, const arrow::Array& array, std::int64_t row) {
  if (array.IsNull(row)) {
    out += "null";
    return;
  }
  switch (array.type_id()) {
    case arrow::Type::STRING:
      return append_text<arrow::StringArray>(out, array, row);
    case arrow::Type::LARGE_STRING:
      return append_text<arrow::LargeStringArray>(out, array, row);
    case arrow::Type::BINARY:
      return append_text<arrow::BinaryArray>(out, array, row);
    case arrow::Type::LARGE_BINARY:
      return append_text<arrow::LargeBinaryArray>(out, array, row);
    case arrow::Type::BOOL:
      out += static_cast<const arrow::BooleanArray&>(array).Value(row) ? "true" : "false";
      return;
    case arrow::Type::INT8:
      return append_integer<arrow::Int8Array>(out, array, row);
    case arrow::Type::INT16:
      return append_integer<arrow::Int16Array>(out, array, row);
    case arrow::Type::INT32:
      return append_integer<arrow::Int32Array>(out, array, row);
    case arrow::Type::INT64:
      return append_integer<arrow::Int64Array>(out, array, row);
    case arrow::Type::UINT8:
      return append_integer<arrow::UInt8Array>(out, array, row);
    case arrow::Type::UINT16:
      return append_integer<arrow::UInt16Array>(out, array, row);
    case arrow::Type::UINT32:
      return append_integer<arrow::UInt32Array>(out, array, row);
    case arrow::Type::UINT64:
      return append_integer<arrow::UInt64Array>(out, array, row);
    case arrow::Type::FLOAT:
      return append_real(out, static_cast<const arrow::FloatArray&>(array).Value(row));
    case arrow::Type::DOUBLE:
      return append_real(out, static_cast<const arrow::DoubleArray&>(array).Value(row));
    case arrow::Type::LIST:
      return append_list<arrow::ListArray>(out, array, row);
    case arrow::Type::LARGE_LIST:
      return append_list<arrow::LargeListArray>(out, array, row);
    case arrow::Type::STRUCT:
      return append_struct(out, array, row);
    case arrow::Type::DICTIONARY: {
      const auto& words = static_cast<const arrow::DictionaryArray&>(array);
      return append_value(out, *words.dictionary(), words.GetValueIndex(row));
    }
    default: {
      // Dates, times, decimals and what else there is, as Arrow writes them.
      const auto scalar = array.GetScalar(row);
      append_string(out, scalar.ok() ? (*scalar)->ToString() : "");
    }
  }
}

void write_rows(const arrow::RecordBatch& batch) {
  constexpr std::size_t kEnough = 1 << 20;
  std::string out;
  for (std::int64_t row = 0; row < batch.num_rows(); ++row) {
    out += '{';
    for (int column = 0; column < batch.num_columns(); ++column) {
      if (column > 0) out += ',';
      append_string(out, batch.column_name(column));
      out += ':';
      append_value(out, *batch.column(column), row);
    }
    out += "}\n";
    if (out.size() > kEnough || row + 1 == batch.num_rows()) {
      if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size()) std::exit(1);
      out.clear();
    }
  }
}

template <typename Value>
Value value_or_give_up(arrow::Result<Value> result) {
  if (!result.ok()) give_up(result.status().message());
  return std::move(result).ValueOrDie();
}

/// Numbers of the leaf columns under the top-level field `name`; all where it is "".
std::vector<int> leaf_columns(const parquet::FileMetaData& metadata, const std::string& name) {
  std::vector<int> columns;
  const parquet::SchemaDescriptor& schema = *metadata.schema();
  for (int k = 0; k < schema.num_columns(); ++k)
    if (name.empty() || schema.GetColumnRoot(k)->name() == name) columns.push_back(k);
  return columns;
}

void run(const std::string& file, const std::string& column) {
  parquet::arrow::FileReaderBuilder builder;
  if (const auto status = builder.OpenFile(file); !status.ok()) give_up(status.message());
  parquet::ArrowReaderProperties properties(/*use_threads=*/false);
  properties.set_batch_size(256);
  properties.set_pre_buffer(false);
  builder.properties(properties);
  const auto reader = value_or_give_up(builder.Build());
  const auto metadata = reader->parquet_reader()->metadata();
  const std::vector<int> columns = leaf_columns(*metadata, column);
  if (columns.empty()) give_up(fmt::format("there is no column \"{}\"", column));
  std::vector<int> groups;
  for (int k = 0; k < metadata->num_row_groups(); ++k) groups.push_back(k);
  const auto batches = value_or_give_up(reader->GetRecordBatchReader(groups, columns));
  while (true) {
    const auto batch = value_or_give_up(batches->Next());
    if (!batch) break;
    write_rows(*batch);
  }
  if (std::fflush(stdout) != 0) std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5)
    give_up("usage: tigerbot-read-parquet CPU_SECONDS MEMORY_BYTES FILE [COLUMN]");
  tigerbot::data::apply_limits(argv);
  try {
    run(argv[3], argc == 5 ? argv[4] : "");
  } catch (const std::bad_alloc&) {
    give_up("needs more memory than a Parquet file is given");
  } catch (const std::exception& error) {
    give_up(error.what());
  }
  return 0;
}
