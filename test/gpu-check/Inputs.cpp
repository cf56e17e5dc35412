#include "Inputs.h"

#include "RoutingReference.h"
#include "model/Random.h"
#include "session/Bench.h"

#include <algorithm>
#include <cmath>

namespace peer::gpucheck {

using namespace runtime;
using reference::Array;

namespace {
/// The rank is the inverse of the continuous distribution; an odd factor scatters the frequent ones over the table.
void fillExperts(Tensor &idx, int64_t experts, double zipf, const RandomStream &stream) {
  auto values = idx.as<int32_t>();
  double count = static_cast<double>(experts);
#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < values.size(); ++i) {
    double rank = std::min(std::floor(count * std::pow(stream.uniform(i), 1 / (1 - zipf))), count - 1);
    values[i] = static_cast<int32_t>((static_cast<uint64_t>(rank) * 0x9e3779b1u) & static_cast<uint64_t>(experts - 1));
  }
}

void normalise(Tensor &weights, int64_t perHead) {
  auto values = weights.as<float>();
  for (size_t first = 0; first < values.size(); first += static_cast<size_t>(perHead)) {
    float sum = 0;
    for (float &value : values.subspan(first, static_cast<size_t>(perHead)))
      sum += value = std::abs(value) + 0.1f;
    for (float &value : values.subspan(first, static_cast<size_t>(perHead)))
      value /= sum;
  }
}

double valueAt(const Tensor &tensor, size_t i) {
  return tensor.dtype() == DType::I32    ? tensor.as<int32_t>()[i]
         : tensor.dtype() == DType::I8   ? tensor.as<int8_t>()[i]
         : tensor.dtype() == DType::BF16 ? bf16ToFloat(tensor.as<uint16_t>()[i])
                                         : tensor.as<float>()[i];
}

/// Some rows of a tensor, as an array.
Array rowsOf(const Tensor &tensor, const std::vector<int64_t> &rows) {
  Shape shape = tensor.shape();
  shape[0] = static_cast<int64_t>(rows.size());
  Array array(shape);
  size_t width = array.values.size() / rows.size();
  for (size_t row = 0; row < rows.size(); ++row)
    for (size_t i = 0; i < width; ++i)
      array.values[row * width + i] = valueAt(tensor, static_cast<size_t>(rows[row]) * width + i);
  return array;
}

Array all(const Tensor &tensor) {
  std::vector<int64_t> rows(static_cast<size_t>(tensor.shape()[0]));
  for (size_t i = 0; i < rows.size(); ++i)
    rows[i] = static_cast<int64_t>(i);
  return rowsOf(tensor, rows);
}

/// The mix, with a table of the selected experts alone. `scales` of their vectors may be null.
Array mixOf(const Array &x, Array idx, const Array &weights, const Tensor &pool, const Tensor *scales) {
  std::vector<int64_t> rows;
  for (double &expert : idx.values) {
    rows.push_back(static_cast<int64_t>(expert));
    expert = static_cast<double>(rows.size() - 1);
  }
  Array table = rowsOf(pool, rows);
  if (scales) {
    Array factors = rowsOf(*scales, rows);
    size_t width = table.values.size() / factors.values.size();
    for (size_t i = 0; i < table.values.size(); ++i)
      table.values[i] *= factors.values[i / width];
  }
  return reference::mix(x, idx, weights, table, reference::Activation::Gelu, 1);
}
} // namespace

Result<TensorMap> benchmarkInputs(const Entry &entry, int64_t tokens, int64_t experts, double zipf, uint64_t seed) {
  PEER_TRY_ASSIGN(TensorMap inputs, randomInputs(entry, tokens, seed));
  if (auto idx = inputs.find("idx"); idx != inputs.end())
    fillExperts(idx->second, experts, zipf, RandomStream(seed, "experts"));
  if (auto weights = inputs.find("w"); weights != inputs.end())
    normalise(weights->second, weights->second.shape().back());
  return inputs;
}

Status fillQuantized(TensorMap &parameters, uint64_t seed) {
  for (auto &[name, tensor] : parameters)
    if (tensor.dtype() == DType::I8)
      PEER_TRY(fillUniformIntegers(tensor, -127, 128, RandomStream(seed, name)));
  return {};
}

Result<double> errorOfTokens(const Session &session, const Json &spec, const TensorMap &inputs,
                             const TensorMap &results) {
  const Tensor &y = results.find("y")->second;
  int64_t tokens = y.shape()[0];
  std::vector<int64_t> some{0};
  if (tokens > 1)
    some.push_back(tokens - 1);
  Array x = rowsOf(inputs.find("x")->second, some), idx, weights;
  const TensorMap &parameters = session.parameters();
  if (spec["kind"] == "mix") {
    idx = rowsOf(inputs.find("idx")->second, some);
    weights = rowsOf(inputs.find("w")->second, some);
  } else {
    Array query = reference::linear(x, false, all(parameters.find("query.weight")->second), false);
    query.shape = {x.shape[0], spec["heads"].get<int64_t>(), 2, spec["half"].get<int64_t>()};
    reference::Selection selected = reference::select(reference::score(query, all(parameters.find("keys")->second)),
                                                      spec["selected"].get<int64_t>());
    idx = selected.idx;
    weights = reference::gate(selected.val, reference::Gate::Softmax);
  }
  auto scales = parameters.find("experts.scale");
  Array expected = mixOf(x, idx, weights, parameters.find("experts")->second,
                         scales == parameters.end() ? nullptr : &scales->second);
  Array actual = rowsOf(y, some);
  double error = 0, largest = 0;
  for (size_t i = 0; i < expected.values.size(); ++i) {
    double difference = std::abs(actual.values[i] - expected.values[i]);
    error = std::max(error, std::isnan(difference) ? INFINITY : difference);
    largest = std::max(largest, std::abs(expected.values[i]));
  }
  if (largest == 0)
    return Status::error("the reference is zero: nothing was compared");
  return error / largest;
}

} // namespace peer::gpucheck
