#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// Charts as inline SVG. Colours are the page's CSS variables, so that light and dark both fit.
namespace tigerbot::data::html {

/// One named amount. `note` is shown beside or on hover; all texts are escaped here.
struct Slice {
  std::string name;
  double amount = 0;
  std::string note;
};

/// A ring of slices in their order with a legend beside it; past seven, the smallest become
/// "other".
std::string ring_chart(std::vector<Slice> slices, const std::string& middle);

/// Horizontal bars of one colour, each with its name and note.
std::string bar_chart(const std::vector<Slice>& bars);

/// Horizontal bars cut into parts: rows[k].parts follow `names`, with one legend.
struct StackedRow {
  std::string name, note;
  std::vector<double> parts;
};
std::string stacked_bars(const std::vector<std::string>& names,
                         const std::vector<StackedRow>& rows);

/// Columns over equal bins, one series or two (the second behind the first).
struct Columns {
  std::string title, first_name, second_name;
  std::vector<std::string> labels;  ///< of each bin; empty ones are not written
  std::vector<std::string> hover;   ///< of each bin: its range
  std::vector<double> first, second;
};
std::string column_chart(const Columns& columns);

}  // namespace tigerbot::data::html
