// Text tables for people.
#pragma once

#include <string>
#include <vector>

namespace peer::runtime {

/// Columns as wide as their widest cell. Columns of numbers are set right-aligned, others left-aligned; the first row is the heading.
class Table {
public:
  explicit Table(std::vector<std::string> heading) : rows{std::move(heading)} {}
  void add(std::vector<std::string> row) { rows.push_back(std::move(row)); }
  bool empty() const { return rows.size() == 1; }
  /// All rows, each behind `indent` and with a line feed.
  std::string text(const std::string &indent = "") const;

private:
  std::vector<std::vector<std::string>> rows;
};

} // namespace peer::runtime
