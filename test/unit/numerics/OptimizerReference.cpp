// Steps of optimizers in double precision.
#include "RoutingReference.h"

#include <algorithm>
#include <cmath>

namespace peer::reference {

static bool isTouched(const std::vector<bool> &touched, const Array &param, size_t i) {
  return touched.empty() || touched[i / (param.values.size() / param.shape[0])];
}

void adamw(const AdamW &s, double step, double scale, Array &param, const Array &grad, Array &m, Array &v,
           const std::vector<bool> &touched) {
  for (size_t i = 0; i < param.values.size(); ++i) {
    if (!isTouched(touched, param, i))
      continue;
    double g = scale * grad.values[i];
    m.values[i] = s.beta1 * m.values[i] + (1 - s.beta1) * g;
    v.values[i] = s.beta2 * v.values[i] + (1 - s.beta2) * g * g;
    double mean = m.values[i] / (1 - std::pow(s.beta1, step)), variance = v.values[i] / (1 - std::pow(s.beta2, step));
    param.values[i] -= s.rate * (mean / (std::sqrt(variance) + s.epsilon) + s.decay * param.values[i]);
  }
}

/// The mean square of what is scaled, along the elements of each row of the first dimension.
static std::vector<double> meanSquares(const Array &grad, double scale) {
  size_t rows = static_cast<size_t>(grad.shape.empty() ? 1 : grad.shape[0]), width = grad.values.size() / rows;
  std::vector<double> means(rows);
  for (size_t i = 0; i < grad.values.size(); ++i)
    means[i / width] += scale * grad.values[i] * scale * grad.values[i] / static_cast<double>(width);
  return means;
}

void rowwiseAdam(const AdamW &s, double step, double scale, Array &param, const Array &grad, Array &m, Array &v,
                 const std::vector<bool> &touched) {
  std::vector<double> means = meanSquares(grad, scale);
  size_t width = param.values.size() / means.size();
  for (size_t row = 0; row < means.size(); ++row)
    if (touched.empty() || touched[row])
      v.values[row] = s.beta2 * v.values[row] + (1 - s.beta2) * means[row];
  for (size_t i = 0; i < param.values.size(); ++i) {
    if (!isTouched(touched, param, i))
      continue;
    m.values[i] = s.beta1 * m.values[i] + (1 - s.beta1) * scale * grad.values[i];
    double root = std::sqrt(v.values[i / width] / (1 - std::pow(s.beta2, step)));
    param.values[i] -=
        s.rate * (m.values[i] / (1 - std::pow(s.beta1, step)) / (root + s.epsilon) + s.decay * param.values[i]);
  }
}

void rowwiseAdagrad(double rate, double epsilon, double decay, double scale, Array &param, const Array &grad,
                    Array &sum, const std::vector<bool> &touched) {
  std::vector<double> means = meanSquares(grad, scale);
  size_t width = param.values.size() / means.size();
  for (size_t row = 0; row < means.size(); ++row)
    if (touched.empty() || touched[row])
      sum.values[row] += means[row];
  for (size_t i = 0; i < param.values.size(); ++i)
    if (isTouched(touched, param, i))
      param.values[i] -=
          rate * (scale * grad.values[i] / (std::sqrt(sum.values[i / width]) + epsilon) + decay * param.values[i]);
}

void adafactor(const Adafactor &s, double step, double scale, Array &param, const Array &grad,
               std::vector<Array> &moments) {
  double share = std::pow(step, -s.decayRate), squares = 0, total = 0;
  size_t elements = param.values.size();
  std::vector<double> u(elements);
  auto square = [&](size_t i) { return scale * grad.values[i] * scale * grad.values[i] + s.epsilon; };
  for (Array &moment : moments)
    for (double &value : moment.values)
      value *= 1 - share;
  if (moments.size() == 1) {
    for (size_t i = 0; i < elements; ++i) {
      moments[0].values[i] += share * square(i);
      u[i] = scale * grad.values[i] / std::sqrt(moments[0].values[i]);
    }
  } else {
    std::vector<double> &rows = moments[0].values, &columns = moments[1].values;
    for (size_t i = 0; i < elements; ++i) {
      rows[i / columns.size()] += share * square(i) / static_cast<double>(columns.size());
      columns[i % columns.size()] += share * square(i) / static_cast<double>(rows.size());
    }
    for (double value : rows)
      total += value / static_cast<double>(rows.size());
    for (size_t i = 0; i < elements; ++i)
      u[i] = scale * grad.values[i] / std::sqrt(rows[i / columns.size()] * columns[i % columns.size()] / total);
  }
  for (double value : u)
    squares += value * value / static_cast<double>(elements);
  double bound = std::max(1.0, std::sqrt(squares) / s.clipThreshold);
  for (size_t i = 0; i < elements; ++i)
    param.values[i] -= s.rate * (u[i] / bound + s.decay * param.values[i]);
}

void sgd(double rate, double momentum, double decay, double scale, Array &param, const Array &grad, Array &m,
         const std::vector<bool> &touched) {
  for (size_t i = 0; i < param.values.size(); ++i) {
    if (!isTouched(touched, param, i))
      continue;
    m.values[i] = momentum * m.values[i] + scale * grad.values[i];
    param.values[i] -= rate * (m.values[i] + decay * param.values[i]);
  }
}

} // namespace peer::reference
