// Naive double-precision references of the nn ops. Gradients are central differences of the forward ones, so no formula is written twice.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace peer::reference {

/// A dense row-major array.
struct Array {
  std::vector<int64_t> shape;
  std::vector<double> values;

  Array() = default;
  explicit Array(std::vector<int64_t> shape);
  int64_t rows() const { return shape[0]; }
  int64_t columns() const { return shape[1]; }
  double &at(int64_t i, int64_t j) { return values[i * shape[1] + j]; }
  double at(int64_t i, int64_t j) const { return values[i * shape[1] + j]; }
};

/// Uniform in [low, high), rounded to f32 so that compiled code sees the same numbers.
Array random(std::vector<int64_t> shape, uint64_t seed, double low = -1, double high = 1);
/// Whole numbers in [0, below).
Array randomTokens(int64_t count, int64_t below, uint64_t seed);

Array linear(const Array &x, bool transposeX, const Array &weight, bool transposeWeight);
Array embedding(const Array &tokens, const Array &table);
Array rmsNorm(const Array &x, const Array &weight, double epsilon);
Array layerNorm(const Array &x, const Array &weight, const Array &bias, double epsilon);
Array batchNorm(const Array &x, const Array &weight, const Array &bias, const Array &mean, const Array &variance,
                double epsilon);
/// Mean and biased variance of each column.
std::vector<Array> batchStats(const Array &x);
/// Mean and 1 / sqrt(variance + epsilon) of each row; the root mean square's where `centered` is false.
std::vector<Array> rowMoments(const Array &x, double epsilon, bool centered);

enum class Activation { Gelu, Silu, Relu, Sigmoid, Tanh };
Array activation(const Array &x, Activation kind);
Array crossEntropy(const Array &logits, const Array &targets);
/// Of a vector; a rank-0 array.
Array mean(const Array &x);
/// Row t at position `start + t mod context`.
Array rotary(const Array &x, int64_t heads, int64_t context, double base, bool inverse = false, int64_t start = 0);
/// Row t sees itself and what came before it in its context, of which a window (0: none) leaves the last ones.
Array attention(const Array &query, const Array &key, const Array &value, int64_t heads, int64_t context,
                int64_t window = 0);

/// Row t is the token at `position + t`; writes its key and value to the caches' row `(position + t) mod C`.
Array cachedAttention(const Array &query, const Array &key, const Array &value, Array &keyCache, Array &valueCache,
                      int64_t position, int64_t heads, int64_t window = 0);

/// MurmurHash3's finalizer.
inline uint32_t mixBits(uint32_t h) {
  h = (h ^ h >> 16) * 0x85ebca6b;
  h = (h ^ h >> 13) * 0xc2b2ae35;
  return h ^ h >> 16;
}

/// The derivative of `objective()` by a number that it reads.
template <typename Objective>
double slope(double &value, Objective objective, double step = 1e-6) {
  double original = value;
  value = original + step;
  double above = objective();
  value = original - step;
  double below = objective();
  value = original;
  return (above - below) / (2 * step);
}

using Forward = std::function<Array(const std::vector<Array> &)>;

/// The derivative of sum(dy * forward(inputs)) with respect to `inputs[which]`.
Array gradient(const Forward &forward, std::vector<Array> inputs, size_t which, const Array &dy, double step = 1e-5);

} // namespace peer::reference
