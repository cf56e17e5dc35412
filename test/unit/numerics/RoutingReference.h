// Naive double-precision references of the routing ops: one loop per letter of their formulas, no shared sub-expressions. Gradients
// of smooth ops are central differences of these (reference::gradient).
#pragma once

#include "NNReference.h"

#include <initializer_list>

namespace peer::reference {

/// The element at a position.
double &el(Array &array, std::initializer_list<int64_t> at);
double el(const Array &array, std::initializer_list<int64_t> at);

Array score(const Array &query, const Array &keys);

struct Selection {
  Array idx, val;
};
/// By brute force over all n (P = 1) or n * n (P = 2) candidates: exact sums descending, then the lowest index. A NaN counts as -inf.
Selection select(const Array &logits, int64_t k);

enum class Gate { Softmax, Sigmoid, Relu, One };
Array gate(const Array &val, Gate kind);

Array mix(const Array &x, const Array &idx, const Array &weights, const Array &pool, Activation kind,
          int64_t rowsPerExpert);
/// mass plus each expert's weights.
Array usage(const Array &idx, const Array &weights, Array mass);

/// The logits' selected values: what idx says of each half, summed. Differentiable in the logits.
Array gather(const Array &logits, const Array &idx);

/// Experts in [-1, experts), or [0, experts) where `none` is false; every second head repeats the head before it.
Array randomExperts(std::vector<int64_t> shape, int64_t experts, uint64_t seed, bool none = true);

/// The gradient of a pool's rows: grad[row, f] += coef * x, or for the last vector coef * dy, for each pair `T x H x K` of idx with coef
/// `T x H x K x rows x F`. Returns which rows pairs touch.
std::vector<bool> addRowGradients(const Array &idx, const Array &coef, const Array &x, const Array &dy, Array &grad);

struct AdamW {
  double rate = 1e-3, beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, decay = 0;
};
/// One step on every element; `touched` (if not empty) says which rows of the first dimension take part.
void adamw(const AdamW &settings, double step, double scale, Array &param, const Array &grad, Array &m, Array &v,
           const std::vector<bool> &touched = {});
/// As adamw, with one v for each row of the first dimension.
void rowwiseAdam(const AdamW &settings, double step, double scale, Array &param, const Array &grad, Array &m, Array &v,
                 const std::vector<bool> &touched = {});
void rowwiseAdagrad(double rate, double epsilon, double decay, double scale, Array &param, const Array &grad,
                    Array &sum, const std::vector<bool> &touched = {});
struct Adafactor {
  double rate = 1e-3, decayRate = 0.8, epsilon = 1e-30, clipThreshold = 1, decay = 0;
};
/// `moments` are rows and columns, or v of a vector.
void adafactor(const Adafactor &settings, double step, double scale, Array &param, const Array &grad,
               std::vector<Array> &moments);
void sgd(double rate, double momentum, double decay, double scale, Array &param, const Array &grad, Array &m,
         const std::vector<bool> &touched = {});

} // namespace peer::reference
