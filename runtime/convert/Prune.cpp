#include "Prune.h"

#include "model/Random.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace peer::runtime {
namespace {

/// Cosines of the rows that each two experts have in the router, those of all heads as one.
std::vector<double> likenesses(const PrunedLayer &layer) {
  int64_t n = layer.before, heads = layer.shape[0], width = layer.shape[3];
  std::vector<double> products(static_cast<size_t>(n * n)), result(products.size());
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      for (int64_t h = 0; h < heads; ++h) {
        const float *rows = layer.router.data() + h * n * width;
        products[static_cast<size_t>(i * n + j)] +=
            std::inner_product(rows + i * width, rows + (i + 1) * width, rows + j * width, 0.0);
      }
  auto at = [&](int64_t i, int64_t j) { return products[static_cast<size_t>(i * n + j)]; };
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      result[static_cast<size_t>(i * n + j)] = at(i, j) / std::max(std::sqrt(at(i, i) * at(j, j)), 1e-30);
  return result;
}

std::vector<int64_t> dropLikest(const PrunedLayer &layer, std::span<const double> mass) {
  std::vector<double> likeness = likenesses(layer);
  std::vector<int64_t> kept(static_cast<size_t>(layer.before));
  std::iota(kept.begin(), kept.end(), int64_t{0});
  while (static_cast<int64_t>(kept.size()) > layer.after) {
    int64_t first = kept[0], second = kept[1];
    auto likenessOf = [&](int64_t i, int64_t j) { return likeness[static_cast<size_t>(i * layer.before + j)]; };
    for (size_t i = 0; i < kept.size(); ++i)
      for (size_t j = i + 1; j < kept.size(); ++j)
        if (likenessOf(kept[i], kept[j]) > likenessOf(first, second))
          first = kept[i], second = kept[j];
    std::erase(kept, mass[static_cast<size_t>(second)] <= mass[static_cast<size_t>(first)] ? second : first);
  }
  return kept;
}

} // namespace

std::vector<int64_t> chooseExperts(const PrunedLayer &layer, std::span<const double> mass, KeepBy by, uint64_t seed) {
  if (by == KeepBy::Similarity)
    return dropLikest(layer, mass);
  RandomStream random(seed, "kept:" + layer.name);
  auto rank = [&](int64_t expert) {
    auto i = static_cast<size_t>(expert);
    return std::pair(by == KeepBy::Usage ? -mass[i] : random.uniform(i), expert);
  };
  std::vector<int64_t> kept(static_cast<size_t>(layer.before));
  std::iota(kept.begin(), kept.end(), int64_t{0});
  std::ranges::sort(kept, {}, rank);
  kept.resize(static_cast<size_t>(layer.after));
  std::ranges::sort(kept);
  return kept;
}

} // namespace peer::runtime
