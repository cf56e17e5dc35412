#include "NNReference.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace peer::reference {

Array::Array(std::vector<int64_t> shape) : shape(std::move(shape)) {
  int64_t count = 1;
  for (int64_t size : this->shape)
    count *= size;
  values.resize(count);
}

Array random(std::vector<int64_t> shape, uint64_t seed, double low, double high) {
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<double> distribution(low, high);
  Array result(std::move(shape));
  for (double &value : result.values)
    value = static_cast<float>(distribution(generator));
  return result;
}

Array randomTokens(int64_t count, int64_t below, uint64_t seed) {
  Array result = random({count}, seed, 0, static_cast<double>(below));
  for (double &value : result.values)
    value = std::min(std::floor(value), static_cast<double>(below - 1));
  return result;
}

Array linear(const Array &x, bool transposeX, const Array &weight, bool transposeWeight) {
  int64_t inner = x.shape[!transposeX];
  Array y({x.shape[transposeX], weight.shape[!transposeWeight]});
  for (int64_t i = 0; i < y.rows(); ++i)
    for (int64_t j = 0; j < y.columns(); ++j)
      for (int64_t k = 0; k < inner; ++k)
        y.at(i, j) += (transposeX ? x.at(k, i) : x.at(i, k)) * (transposeWeight ? weight.at(j, k) : weight.at(k, j));
  return y;
}

Array embedding(const Array &tokens, const Array &table) {
  Array y({tokens.rows(), table.columns()});
  for (int64_t t = 0; t < y.rows(); ++t)
    for (int64_t d = 0; d < y.columns(); ++d)
      y.at(t, d) = table.at(static_cast<int64_t>(tokens.values[t]), d);
  return y;
}

std::vector<Array> rowMoments(const Array &x, double epsilon, bool centered) {
  Array mean({x.rows()}), rstd({x.rows()});
  for (int64_t t = 0; t < x.rows(); ++t) {
    for (int64_t d = 0; centered && d < x.columns(); ++d)
      mean.values[t] += x.at(t, d) / x.columns();
    double variance = 0;
    for (int64_t d = 0; d < x.columns(); ++d)
      variance += std::pow(x.at(t, d) - mean.values[t], 2) / x.columns();
    rstd.values[t] = 1 / std::sqrt(variance + epsilon);
  }
  return {mean, rstd};
}

Array rmsNorm(const Array &x, const Array &weight, double epsilon) {
  Array y(x.shape), rstd = rowMoments(x, epsilon, false)[1];
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t d = 0; d < x.columns(); ++d)
      y.at(t, d) = x.at(t, d) * rstd.values[t] * weight.values[d];
  return y;
}

Array layerNorm(const Array &x, const Array &weight, const Array &bias, double epsilon) {
  Array y(x.shape);
  std::vector<Array> moments = rowMoments(x, epsilon, true);
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t d = 0; d < x.columns(); ++d)
      y.at(t, d) = (x.at(t, d) - moments[0].values[t]) * moments[1].values[t] * weight.values[d] + bias.values[d];
  return y;
}

Array batchNorm(const Array &x, const Array &weight, const Array &bias, const Array &mean, const Array &variance,
                double epsilon) {
  Array y(x.shape);
  for (int64_t r = 0; r < x.rows(); ++r)
    for (int64_t c = 0; c < x.columns(); ++c)
      y.at(r, c) =
          (x.at(r, c) - mean.values[c]) / std::sqrt(variance.values[c] + epsilon) * weight.values[c] + bias.values[c];
  return y;
}

std::vector<Array> batchStats(const Array &x) {
  Array mean({x.columns()}), variance({x.columns()});
  for (int64_t r = 0; r < x.rows(); ++r)
    for (int64_t c = 0; c < x.columns(); ++c)
      mean.values[c] += x.at(r, c) / x.rows();
  for (int64_t r = 0; r < x.rows(); ++r)
    for (int64_t c = 0; c < x.columns(); ++c)
      variance.values[c] += std::pow(x.at(r, c) - mean.values[c], 2) / x.rows();
  return {mean, variance};
}

Array activation(const Array &x, Activation kind) {
  Array y = x;
  for (double &v : y.values)
    switch (kind) {
    case Activation::Gelu:
      v *= 0.5 * (1 + std::erf(v / std::sqrt(2.0)));
      break;
    case Activation::Silu:
      v /= 1 + std::exp(-v);
      break;
    case Activation::Relu:
      v = std::max(v, 0.0);
      break;
    case Activation::Sigmoid:
      v = 1 / (1 + std::exp(-v));
      break;
    case Activation::Tanh:
      v = std::tanh(v);
      break;
    }
  return y;
}

Array crossEntropy(const Array &logits, const Array &targets) {
  Array loss({logits.rows()});
  for (int64_t t = 0; t < logits.rows(); ++t) {
    double highest = -INFINITY, sum = 0;
    for (int64_t v = 0; v < logits.columns(); ++v)
      highest = std::max(highest, logits.at(t, v));
    for (int64_t v = 0; v < logits.columns(); ++v)
      sum += std::exp(logits.at(t, v) - highest);
    loss.values[t] = std::log(sum) + highest - logits.at(t, static_cast<int64_t>(targets.values[t]));
  }
  return loss;
}

Array mean(const Array &x) {
  Array result(std::vector<int64_t>{});
  for (double value : x.values)
    result.values[0] += value / static_cast<double>(x.values.size());
  return result;
}

Array rotary(const Array &x, int64_t heads, int64_t context, double base, bool inverse, int64_t start) {
  Array y(x.shape);
  int64_t width = x.columns() / heads, half = width / 2;
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t c = 0; c < half; ++c) {
        double position = static_cast<double>(start + t % context);
        double angle = position * std::pow(base, -2.0 * c / width) * (inverse ? -1 : 1);
        double u = x.at(t, h * width + c), v = x.at(t, h * width + half + c);
        y.at(t, h * width + c) = u * std::cos(angle) - v * std::sin(angle);
        y.at(t, h * width + half + c) = u * std::sin(angle) + v * std::cos(angle);
      }
  return y;
}

namespace {
/// y[t] = softmax(q[t] . k[j] / sqrt(w)) v[j] over these rows, head by head; a head of the keys serves neighbours of the query.
void attend(const Array &query, int64_t t, const Array &key, const Array &value, const std::vector<int64_t> &rows,
            int64_t heads, Array &y) {
  int64_t width = query.columns() / heads, group = heads / (key.columns() / width);
  std::vector<double> p(rows.size());
  for (int64_t h = 0; h < heads; ++h) {
    int64_t column = h * width, keyColumn = h / group * width;
    double sum = 0, highest = -INFINITY;
    for (size_t i = 0; i < rows.size(); ++i) {
      p[i] = 0;
      for (int64_t c = 0; c < width; ++c)
        p[i] += query.at(t, column + c) * key.at(rows[i], keyColumn + c) / std::sqrt(static_cast<double>(width));
      highest = std::max(highest, p[i]);
    }
    for (double &value : p)
      sum += value = std::exp(value - highest);
    for (size_t i = 0; i < rows.size(); ++i)
      for (int64_t c = 0; c < width; ++c)
        y.at(t, column + c) += p[i] / sum * value.at(rows[i], keyColumn + c);
  }
}
} // namespace

Array attention(const Array &query, const Array &key, const Array &value, int64_t heads, int64_t context,
                int64_t window) {
  Array y(query.shape);
  for (int64_t t = 0; t < query.rows(); ++t) {
    std::vector<int64_t> rows;
    for (int64_t j = t / context * context; j <= t; ++j)
      if (window == 0 || j > t - window)
        rows.push_back(j);
    attend(query, t, key, value, rows, heads, y);
  }
  return y;
}

Array cachedAttention(const Array &query, const Array &key, const Array &value, Array &keyCache, Array &valueCache,
                      int64_t position, int64_t heads, int64_t window) {
  Array y(query.shape);
  int64_t capacity = keyCache.rows(), reach = window == 0 ? capacity : window;
  for (int64_t t = 0; t < query.rows(); ++t) {
    for (int64_t c = 0; c < key.columns(); ++c) {
      keyCache.at((position + t) % capacity, c) = key.at(t, c);
      valueCache.at((position + t) % capacity, c) = value.at(t, c);
    }
    std::vector<int64_t> rows;
    for (int64_t token = position + t; token >= 0 && token > position + t - reach; --token)
      rows.push_back(token % capacity);
    attend(query, t, keyCache, valueCache, rows, heads, y);
  }
  return y;
}

Array gradient(const Forward &forward, std::vector<Array> inputs, size_t which, const Array &dy, double step) {
  Array result(inputs[which].shape);
  auto objective = [&] {
    Array y = forward(inputs);
    double sum = 0;
    for (size_t i = 0; i < y.values.size(); ++i)
      sum += y.values[i] * dy.values[i];
    return sum;
  };
  for (size_t i = 0; i < result.values.size(); ++i)
    result.values[i] = slope(inputs[which].values[i], objective, step);
  return result;
}

} // namespace peer::reference
