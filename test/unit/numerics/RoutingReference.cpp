#include "RoutingReference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace peer::reference {

static int64_t offset(const Array &array, std::initializer_list<int64_t> at) {
  int64_t result = 0;
  size_t dim = 0;
  for (int64_t i : at)
    result = result * array.shape[dim++] + i;
  return result;
}

double &el(Array &array, std::initializer_list<int64_t> at) { return array.values[offset(array, at)]; }
double el(const Array &array, std::initializer_list<int64_t> at) { return array.values[offset(array, at)]; }

Array score(const Array &query, const Array &keys) {
  Array logits({query.shape[0], query.shape[1], query.shape[2], keys.shape[2]});
  for (int64_t t = 0; t < logits.shape[0]; ++t)
    for (int64_t h = 0; h < logits.shape[1]; ++h)
      for (int64_t p = 0; p < logits.shape[2]; ++p)
        for (int64_t j = 0; j < logits.shape[3]; ++j)
          for (int64_t c = 0; c < query.shape[3]; ++c)
            el(logits, {t, h, p, j}) += el(query, {t, h, p, c}) * el(keys, {keys.shape[0] == 1 ? 0 : h, p, j, c});
  return logits;
}

Selection select(const Array &logits, int64_t k) {
  int64_t heads = logits.shape[1], halves = logits.shape[2], n = logits.shape[3];
  Selection result{Array({logits.shape[0], heads, k}), Array({logits.shape[0], heads, k})};
  for (int64_t t = 0; t < logits.shape[0]; ++t)
    for (int64_t h = 0; h < heads; ++h) {
      auto value = [&](int64_t p, int64_t j) {
        double v = el(logits, {t, h, p, j});
        return std::isnan(v) ? -std::numeric_limits<double>::infinity() : v;
      };
      std::vector<std::pair<double, int64_t>> candidates;
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < (halves == 2 ? n : 1); ++j)
          candidates.push_back(halves == 2 ? std::pair{-(value(0, i) + value(1, j)), i * n + j}
                                           : std::pair{-value(0, i), i});
      std::partial_sort(candidates.begin(), candidates.begin() + k, candidates.end());
      for (int64_t i = 0; i < k; ++i) {
        el(result.idx, {t, h, i}) = static_cast<double>(candidates[i].second);
        el(result.val, {t, h, i}) = -candidates[i].first;
      }
    }
  return result;
}

Array gate(const Array &val, Gate kind) {
  Array weights(val.shape);
  int64_t selected = val.shape[2], rows = val.shape[0] * val.shape[1];
  for (int64_t row = 0; row < rows; ++row) {
    double total = 0, highest = -std::numeric_limits<double>::infinity();
    for (int64_t k = 0; k < selected; ++k)
      highest = std::max(highest, val.values[row * selected + k]);
    for (int64_t k = 0; k < selected; ++k)
      total += std::isinf(highest) ? 1 : std::exp(val.values[row * selected + k] - highest);
    for (int64_t k = 0; k < selected; ++k) {
      double v = val.values[row * selected + k], &w = weights.values[row * selected + k];
      if (std::isinf(v) && v < 0)
        w = 0;
      else if (kind == Gate::Softmax)
        w = std::exp(v - highest) / total;
      else if (kind == Gate::Sigmoid)
        w = 1 / (1 + std::exp(-v));
      else
        w = kind == Gate::Relu ? std::max(v, 0.0) : 1;
    }
  }
  return weights;
}

static double act(double a, Activation kind) {
  switch (kind) {
  case Activation::Gelu:
    return 0.5 * a * (1 + std::erf(a / std::sqrt(2.0)));
  case Activation::Silu:
    return a / (1 + std::exp(-a));
  case Activation::Relu:
    return std::max(a, 0.0);
  case Activation::Sigmoid:
    return 1 / (1 + std::exp(-a));
  case Activation::Tanh:
    return std::tanh(a);
  }
  return 0;
}

Array mix(const Array &x, const Array &idx, const Array &weights, const Array &pool, Activation kind,
          int64_t rowsPerExpert) {
  Array y(x.shape);
  int64_t vectors = pool.shape[1], width = pool.shape[2];
  for (int64_t t = 0; t < idx.shape[0]; ++t)
    for (int64_t h = 0; h < idx.shape[1]; ++h)
      for (int64_t k = 0; k < idx.shape[2]; ++k) {
        auto expert = static_cast<int64_t>(el(idx, {t, h, k}));
        if (expert < 0)
          continue;
        for (int64_t row = expert * rowsPerExpert; row < (expert + 1) * rowsPerExpert; ++row) {
          auto dot = [&](int64_t f) {
            double sum = 0;
            for (int64_t d = 0; d < width; ++d)
              sum += el(pool, {row, f, d}) * el(x, {t, d});
            return sum;
          };
          double scale = el(weights, {t, h, k});
          if (vectors > 1)
            scale *= act(dot(0), kind);
          if (vectors > 2)
            scale *= dot(1);
          for (int64_t d = 0; d < width; ++d)
            el(y, {t, d}) += scale * el(pool, {row, vectors - 1, d});
        }
      }
  return y;
}

Array usage(const Array &idx, const Array &weights, Array mass) {
  for (size_t i = 0; i < idx.values.size(); ++i)
    if (idx.values[i] >= 0)
      mass.values[static_cast<size_t>(idx.values[i])] += weights.values[i];
  return mass;
}

Array gather(const Array &logits, const Array &idx) {
  Array val(idx.shape);
  int64_t n = logits.shape[3];
  for (int64_t t = 0; t < idx.shape[0]; ++t)
    for (int64_t h = 0; h < idx.shape[1]; ++h)
      for (int64_t k = 0; k < idx.shape[2]; ++k) {
        auto expert = static_cast<int64_t>(el(idx, {t, h, k}));
        if (expert < 0)
          continue;
        if (logits.shape[2] == 1)
          el(val, {t, h, k}) = el(logits, {t, h, 0, expert});
        else
          el(val, {t, h, k}) = el(logits, {t, h, 0, expert / n}) + el(logits, {t, h, 1, expert % n});
      }
  return val;
}

Array randomExperts(std::vector<int64_t> shape, int64_t experts, uint64_t seed, bool none) {
  Array idx(shape);
  std::mt19937_64 engine(seed);
  std::uniform_int_distribution<int64_t> pick(none ? -1 : 0, experts - 1);
  for (double &value : idx.values)
    value = static_cast<double>(pick(engine));
  for (int64_t t = 0; t < shape[0]; ++t)
    for (int64_t h = 1; h < shape[1]; h += 2)
      for (int64_t k = 0; k < shape[2]; ++k)
        el(idx, {t, h, k}) = el(idx, {t, h - 1, k});
  return idx;
}

std::vector<bool> addRowGradients(const Array &idx, const Array &coef, const Array &x, const Array &dy, Array &grad) {
  int64_t rows = coef.shape[3], vectors = coef.shape[4], perToken = idx.shape[1] * idx.shape[2];
  std::vector<bool> touched(grad.shape[0]);
  for (int64_t pair = 0; pair < idx.shape[0] * perToken; ++pair)
    for (int64_t j = 0; j < rows && idx.values[pair] >= 0; ++j) {
      int64_t row = static_cast<int64_t>(idx.values[pair]) * rows + j;
      touched[row] = true;
      for (int64_t f = 0; f < vectors; ++f)
        for (int64_t d = 0; d < x.shape[1]; ++d)
          el(grad, {row, f, d}) +=
              coef.values[(pair * rows + j) * vectors + f] * el(f + 1 < vectors ? x : dy, {pair / perToken, d});
    }
  return touched;
}

} // namespace peer::reference
