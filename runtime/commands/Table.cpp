#include "Table.h"

#include <algorithm>
#include <cstdio>

namespace peer::runtime {

std::string Table::text(const std::string &indent) const {
  size_t columns = rows.front().size();
  std::vector<size_t> width(columns, 0);
  std::vector<bool> numeric(columns, rows.size() > 1);
  for (size_t r = 0; r < rows.size(); ++r)
    for (size_t c = 0; c < columns; ++c) {
      const std::string &cell = rows[r][c];
      width[c] = std::max(width[c], cell.size());
      if (r > 0 && cell.find_first_not_of("0123456789.-+e %") != std::string::npos)
        numeric[c] = false;
    }
  std::string out;
  for (const std::vector<std::string> &row : rows) {
    std::string line = indent;
    for (size_t c = 0; c < columns; ++c) {
      std::string space(width[c] - row[c].size(), ' ');
      line += (c ? "  " : "") + (numeric[c] ? space + row[c] : row[c] + space);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

} // namespace peer::runtime
