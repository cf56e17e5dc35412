// Grouping is balanced k-means: of the rows of the first matrix (weights) or of what the units did (co-activation). In each round pairs of a unit and
// a group are taken by their distance, nearest first, while the group has room.
#include "Moefy.h"

#include "model/Random.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace peer::runtime {
namespace {

constexpr int kRounds = 20;
/// Tokens that units are compared on: distances of more are hardly others.
constexpr int64_t kMostFeatures = 1024;
/// Of the mean diagonal of the normal equations: what keeps them solvable where inputs lie in a subspace.
constexpr double kRidge = 1e-3;

double activate(const std::string &kind, double x) {
  if (kind == "relu")
    return std::max(x, 0.0);
  if (kind == "gelu")
    return 0.5 * x * (1 + std::erf(x * std::sqrt(0.5)));
  double sigmoid = 1 / (1 + std::exp(-x));
  return kind == "silu" ? x * sigmoid : kind == "tanh" ? std::tanh(x) : sigmoid;
}

/// What each hidden unit gives for each token, T x hidden.
std::vector<float> hiddenValues(const DenseRows &layer, const Tensor &inputs) {
  int64_t tokens = inputs.shape()[0], hidden = layer.shape[0], vectors = layer.shape[1], width = layer.shape[2];
  std::vector<float> result(static_cast<size_t>(tokens * hidden));
  const float *x = inputs.as<float>().data();
#pragma omp parallel for schedule(static)
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t unit = 0; unit < hidden; ++unit) {
      const float *row = layer.rows.data() + unit * vectors * width;
      double first = std::inner_product(row, row + width, x + t * width, 0.0);
      double value = activate(layer.activation, first);
      if (vectors == 3)
        value *= std::inner_product(row + width, row + 2 * width, x + t * width, 0.0);
      result[static_cast<size_t>(t * hidden + unit)] = static_cast<float>(value);
    }
  return result;
}

/// Numbers 0 to n - 1 in an order by chance.
std::vector<int64_t> shuffled(int64_t n, const RandomStream &random) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::sort(order, {}, [&](int64_t i) { return std::pair(random.bits(static_cast<uint64_t>(i)), i); });
  return order;
}

/// Points in rows of `features` values, as `groups` groups of equal size: the group of each.
std::vector<int64_t> balancedGroups(const std::vector<float> &points, int64_t features, int64_t groups,
                                    const RandomStream &random) {
  int64_t count = static_cast<int64_t>(points.size()) / features, room = count / groups;
  std::vector<float> centers;
  std::vector<int64_t> start = shuffled(count, random), group(static_cast<size_t>(count), -1);
  for (int64_t g = 0; g < groups; ++g)
    centers.insert(centers.end(), points.begin() + start[static_cast<size_t>(g)] * features,
                   points.begin() + (start[static_cast<size_t>(g)] + 1) * features);
  std::vector<float> distance(static_cast<size_t>(count * groups));
  std::vector<int64_t> pairs(distance.size());
  for (int round = 0; round < kRounds; ++round) {
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < count; ++i)
      for (int64_t g = 0; g < groups; ++g) {
        double sum = 0;
        for (int64_t f = 0; f < features; ++f) {
          double d = points[static_cast<size_t>(i * features + f)] - centers[static_cast<size_t>(g * features + f)];
          sum += d * d;
        }
        distance[static_cast<size_t>(i * groups + g)] = static_cast<float>(sum);
      }
    std::iota(pairs.begin(), pairs.end(), int64_t{0});
    std::ranges::sort(pairs, {}, [&](int64_t pair) { return std::pair(distance[static_cast<size_t>(pair)], pair); });
    std::vector<int64_t> next(group.size(), -1), taken(static_cast<size_t>(groups), 0);
    for (int64_t pair : pairs)
      if (auto i = static_cast<size_t>(pair / groups), g = static_cast<size_t>(pair % groups);
          next[i] < 0 && taken[g] < room) {
        next[i] = pair % groups;
        ++taken[g];
      }
    bool settled = next == group;
    group = std::move(next);
    if (settled)
      break;
    std::ranges::fill(centers, 0.0f);
    for (int64_t i = 0; i < count; ++i)
      for (int64_t f = 0; f < features; ++f)
        centers[static_cast<size_t>(group[static_cast<size_t>(i)] * features + f)] +=
            points[static_cast<size_t>(i * features + f)] / static_cast<float>(room);
  }
  return group;
}

/// Rows scaled to length 1, since what units do together does not depend on how strongly.
void normalize(std::vector<float> &points, int64_t features) {
  for (auto row = points.begin(); row != points.end(); row += features) {
    double length = std::sqrt(std::inner_product(row, row + features, row, 0.0));
    for (auto at = row; length > 0 && at != row + features; ++at)
      *at = static_cast<float>(*at / length);
  }
}

std::vector<int64_t> groupUnits(const DenseRows &layer, const std::vector<float> &values,
                                MoefyChoice::Grouping grouping, const RandomStream &random) {
  int64_t hidden = layer.shape[0], width = layer.shape[2], tokens = static_cast<int64_t>(values.size()) / hidden;
  if (grouping == MoefyChoice::Grouping::Random) {
    std::vector<int64_t> order = shuffled(hidden, random), group(order.size());
    for (size_t i = 0; i < order.size(); ++i)
      group[static_cast<size_t>(order[i])] = static_cast<int64_t>(i) / (hidden / layer.experts);
    return group;
  }
  int64_t features = grouping == MoefyChoice::Grouping::Weights ? width : std::min(tokens, kMostFeatures);
  std::vector<float> points(static_cast<size_t>(hidden * features));
  for (int64_t unit = 0; unit < hidden; ++unit)
    for (int64_t f = 0; f < features; ++f)
      points[static_cast<size_t>(unit * features + f)] =
          grouping == MoefyChoice::Grouping::Weights
              ? layer.rows[static_cast<size_t>(unit * layer.shape[1] * width + f)]
              : std::abs(values[static_cast<size_t>(f * tokens / features * hidden + unit)]);
  normalize(points, features);
  return balancedGroups(points, features, layer.experts, random);
}

/// Solves A W = B in place (B becomes W), A symmetric and positive definite, n x n, B n x m, by Cholesky's factors.
void solve(std::vector<double> &a, std::vector<double> &b, int64_t n, int64_t m) {
  auto at = [n](std::vector<double> &matrix, int64_t i, int64_t j) -> double & {
    return matrix[static_cast<size_t>(i * n + j)];
  };
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = j; i < n; ++i) {
      double sum = at(a, i, j);
      for (int64_t k = 0; k < j; ++k)
        sum -= at(a, i, k) * at(a, j, k);
      at(a, i, j) = i == j ? std::sqrt(sum) : sum / at(a, j, j);
    }
  for (int64_t column = 0; column < m; ++column) {
    auto value = [&](int64_t i) -> double & { return b[static_cast<size_t>(i * m + column)]; };
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t k = 0; k < i; ++k)
        value(i) -= at(a, i, k) * value(k);
      value(i) /= at(a, i, i);
    }
    for (int64_t i = n; i-- > 0;) {
      for (int64_t k = i + 1; k < n; ++k)
        value(i) -= at(a, k, i) * value(k);
      value(i) /= at(a, i, i);
    }
  }
}

/// Least squares: rows of a router whose scores are what groups add to the output, by the lengths of their units' parts.
void fitRouter(const DenseRows &layer, const Tensor &inputs, const std::vector<float> &values,
               const std::vector<int64_t> &group, std::span<float> router) {
  int64_t tokens = inputs.shape()[0], hidden = layer.shape[0], vectors = layer.shape[1], width = layer.shape[2];
  const float *x = inputs.as<float>().data();
  std::vector<double> lengths(static_cast<size_t>(hidden)), a(static_cast<size_t>(width * width)),
      b(static_cast<size_t>(width * layer.experts));
  for (int64_t unit = 0; unit < hidden; ++unit) {
    const float *out = layer.rows.data() + (unit * vectors + vectors - 1) * width;
    lengths[static_cast<size_t>(unit)] = std::sqrt(std::inner_product(out, out + width, out, 0.0));
  }
  std::vector<double> target(static_cast<size_t>(layer.experts));
  for (int64_t t = 0; t < tokens; ++t) {
    std::ranges::fill(target, 0.0);
    for (int64_t unit = 0; unit < hidden; ++unit)
      target[static_cast<size_t>(group[static_cast<size_t>(unit)])] +=
          std::abs(values[static_cast<size_t>(t * hidden + unit)]) * lengths[static_cast<size_t>(unit)];
    for (int64_t i = 0; i < width; ++i) {
      for (int64_t j = 0; j < width; ++j)
        a[static_cast<size_t>(i * width + j)] += static_cast<double>(x[t * width + i]) * x[t * width + j];
      for (int64_t e = 0; e < layer.experts; ++e)
        b[static_cast<size_t>(i * layer.experts + e)] += x[t * width + i] * target[static_cast<size_t>(e)];
    }
  }
  double mean = 0;
  for (int64_t i = 0; i < width; ++i)
    mean += a[static_cast<size_t>(i * width + i)] / static_cast<double>(width);
  for (int64_t i = 0; i < width; ++i)
    a[static_cast<size_t>(i * width + i)] += kRidge * mean + 1e-30;
  solve(a, b, width, layer.experts);
  for (int64_t e = 0; e < layer.experts; ++e)
    for (int64_t i = 0; i < width; ++i)
      router[static_cast<size_t>(e * width + i)] = static_cast<float>(b[static_cast<size_t>(i * layer.experts + e)]);
}

} // namespace

Decisions decideGroups(const DenseRows &layer, const Tensor &inputs, const MoefyChoice &choice, uint64_t seed) {
  int64_t hidden = layer.shape[0], vectors = layer.shape[1], width = layer.shape[2];
  std::vector<float> values = hiddenValues(layer, inputs);
  std::vector<int64_t> group = groupUnits(layer, values, choice.grouping, RandomStream(seed, "groups:" + layer.name));
  std::vector<int64_t> order(static_cast<size_t>(hidden));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::sort(order, {}, [&](int64_t unit) { return std::pair(group[static_cast<size_t>(unit)], unit); });

  auto tensor = [](Shape shape) {
    auto data =
        std::make_shared<std::vector<float>>(static_cast<size_t>(*byteCount(DType::F32, shape)) / sizeof(float));
    return Tensor::wrap(DType::F32, std::move(shape), data->data(), data);
  };
  Tensor numbers = tensor({hidden}), router = tensor({1, 1, layer.experts, width});
  std::ranges::transform(order, numbers.as<float>().begin(), [](int64_t unit) { return static_cast<float>(unit); });
  std::span<float> rows = router.as<float>();
  if (choice.router == MoefyChoice::Router::Random) {
    Init normal{.kind = Init::Kind::Normal, .mean = 0, .std = 1};
    (void)fillRandom(router, normal, RandomStream(seed, "router:" + layer.name));
  } else if (choice.router == MoefyChoice::Router::Linear) {
    fitRouter(layer, inputs, values, group, rows);
  } else {
    // The mean direction of what the units of a group look for.
    for (int64_t unit = 0; unit < hidden; ++unit)
      for (int64_t i = 0; i < width; ++i)
        rows[static_cast<size_t>(group[static_cast<size_t>(unit)] * width + i)] +=
            layer.rows[static_cast<size_t>(unit * vectors * width + i)];
    for (int64_t e = 0; e < layer.experts; ++e) {
      std::span<float> row = rows.subspan(static_cast<size_t>(e * width), static_cast<size_t>(width));
      double length = std::sqrt(std::inner_product(row.begin(), row.end(), row.begin(), 0.0));
      for (float &value : row)
        value = length > 0 ? static_cast<float>(value / length) : 0;
    }
  }
  Decisions decisions;
  decisions.emplace("order:" + layer.name, std::move(numbers));
  decisions.emplace("router:" + layer.name, std::move(router));
  return decisions;
}

} // namespace peer::runtime
