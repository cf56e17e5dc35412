#include "Prune.h"

#include "model/Random.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

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

/// For each unit of `to` the unit of `from` that takes its place.
std::vector<int64_t> alignUnits(const PrunedLayer &layer, int64_t to, int64_t from) {
  int64_t units = layer.poolShape[0] / layer.before, size = layer.poolShape[1] * layer.poolShape[2];
  auto unit = [&](int64_t expert, int64_t i) { return layer.pool.data() + (expert * units + i) * size; };
  auto length = [&](const float *row) { return std::sqrt(std::inner_product(row, row + size, row, 0.0)); };
  std::vector<double> lengths(static_cast<size_t>(units));
  for (int64_t j = 0; j < units; ++j)
    lengths[static_cast<size_t>(j)] = length(unit(from, j));
  struct Pair {
    double likeness;
    int64_t i, j;
  };
  std::vector<Pair> pairs;
  for (int64_t i = 0; i < units; ++i) {
    const float *row = unit(to, i);
    double own = length(row);
    for (int64_t j = 0; j < units; ++j) {
      double likeness = std::inner_product(row, row + size, unit(from, j), 0.0) /
                        std::max(own * lengths[static_cast<size_t>(j)], 1e-30);
      pairs.push_back({std::isfinite(likeness) ? likeness : -2, i, j}); // of rows that nothing uses there may be none
    }
  }
  std::ranges::sort(pairs, {}, [](const Pair &pair) { return std::tuple(-pair.likeness, pair.i, pair.j); });
  std::vector<int64_t> result(static_cast<size_t>(units), -1);
  std::vector<bool> taken(result.size());
  for (const Pair &pair : pairs)
    if (auto &place = result[static_cast<size_t>(pair.i)]; place < 0 && !taken[static_cast<size_t>(pair.j)]) {
      place = pair.j;
      taken[static_cast<size_t>(pair.j)] = true;
    }
  return result;
}

Tensor tensorOf(Shape shape, const std::vector<float> &values, const std::string &name) {
  Tensor tensor = Tensor::zeros(DType::F32, std::move(shape), name).value();
  std::ranges::copy(values, tensor.as<float>().begin());
  return tensor;
}

} // namespace

Decisions keepExperts(const PrunedLayer &layer, std::span<const int64_t> kept) {
  Decisions decisions;
  decisions.emplace("kept:" + layer.name, tensorOf({layer.after}, {kept.begin(), kept.end()}, layer.name));
  return decisions;
}

Decisions mergeExperts(const PrunedLayer &layer, std::span<const double> mass, std::span<const int64_t> kept,
                       bool merged) {
  int64_t n = layer.before, units = layer.poolShape[0] / n;
  std::vector<double> likeness = likenesses(layer);
  // The expert that each joins, itself for those that are kept, and -1 for what goes.
  std::vector<int64_t> joins(static_cast<size_t>(n), -1);
  for (int64_t expert : kept)
    joins[static_cast<size_t>(expert)] = expert;
  for (int64_t expert = 0; merged && expert < n; ++expert)
    if (joins[static_cast<size_t>(expert)] < 0)
      joins[static_cast<size_t>(expert)] = *std::ranges::max_element(
          kept, {}, [&](int64_t other) { return likeness[static_cast<size_t>(expert * n + other)]; });
  std::vector<float> shares, order(static_cast<size_t>(n * units));
  for (int64_t expert : kept) {
    double total = 0;
    for (int64_t i = 0; i < n; ++i)
      total += joins[static_cast<size_t>(i)] == expert ? mass[static_cast<size_t>(i)] : 0;
    for (int64_t i = 0; i < n; ++i) {
      double share = total > 0 ? mass[static_cast<size_t>(i)] / total : i == expert;
      shares.push_back(joins[static_cast<size_t>(i)] == expert ? static_cast<float>(share) : 0);
    }
  }
#pragma omp parallel for schedule(dynamic)
  for (int64_t expert = 0; expert < n; ++expert) {
    int64_t with = joins[static_cast<size_t>(expert)];
    bool isMoved = with >= 0 && with != expert;
    std::vector<int64_t> from = isMoved ? alignUnits(layer, with, expert) : std::vector<int64_t>();
    for (int64_t i = 0; i < units; ++i)
      order[static_cast<size_t>(expert * units + i)] =
          static_cast<float>(expert * units + (isMoved ? from[static_cast<size_t>(i)] : i));
  }
  Decisions decisions;
  decisions.emplace("shares:" + layer.name, tensorOf({static_cast<int64_t>(kept.size()), n}, shares, layer.name));
  decisions.emplace("units:" + layer.name, tensorOf({n * units}, order, layer.name));
  return decisions;
}

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
