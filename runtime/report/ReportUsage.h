// Pictures of how a layer uses its experts.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace peer::runtime {

/// A layer's gate mass per expert.
struct UsagePicture {
  std::string layer;
  std::vector<double> mass;
  /// Rows and columns of the product-key grid; expert = row * columns + column.
  std::optional<std::array<int64_t, 2>> grid;
};

/// An HTML figure: the grid as a picture in colours on a log scale (relative to even use), or, for a layer without a
/// grid, the share of each expert in falling order.
std::string renderUsage(const UsagePicture &picture);

} // namespace peer::runtime
