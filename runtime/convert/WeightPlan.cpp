// Plans are read as nested arrays, and computed in f32: what the file holds in bf16 is rounded once, at the end.
#include "WeightPlan.h"

#include "Moefy.h"
#include "Prune.h"
#include "Rounding.h"

#include "model/Random.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>

namespace peer::runtime {
namespace {

using nlohmann::json;

struct Value {
  Shape shape;
  std::vector<float> data;
};

int64_t product(const Shape &shape, size_t from = 0) {
  return std::accumulate(shape.begin() + static_cast<std::ptrdiff_t>(from), shape.end(), int64_t{1},
                         std::multiplies<>());
}

/// A tensor by one of its dimensions: `outer` times `size` slices of `inner` elements.
struct Slices {
  int64_t outer, size, inner;
  Slices(const Shape &shape, size_t axis)
      : outer(product(shape) / std::max<int64_t>(product(shape, axis), 1)), size(shape[axis]),
        inner(product(shape, axis + 1)) {}
};

Result<Value> valueOf(const Tensor &tensor, const std::string &name) {
  Value value{tensor.shape(), std::vector<float>(static_cast<size_t>(tensor.elements()))};
  if (tensor.dtype() == DType::F32)
    std::copy_n(static_cast<const float *>(tensor.data()), value.data.size(), value.data.begin());
  else if (tensor.dtype() == DType::BF16)
    std::ranges::transform(tensor.as<uint16_t>(), value.data.begin(), bf16ToFloat);
  else
    return Status::error("tensor \"", name, "\" is ", typeText(tensor.dtype(), tensor.shape()),
                         ", expected f32 or bf16 where it is computed with");
  return value;
}

class Evaluator {
public:
  Evaluator(const Parameter &parameter, const TensorMap &before, uint64_t seed, const Decisions &decisions)
      : parameter(parameter), before(before), seed(seed), decisions(decisions) {}

  Result<Value> evaluate(const json &e);

private:
  Result<Value> initial() const;
  Result<Value> pick(const json &e, const std::string &word);
  /// Sums of slices, by a matrix.
  Result<Value> combine(const json &e);
  Result<Value> concatenate(const json &e);
  Result<Value> transpose(const json &e);
  /// The numbers that are stored, or their scales.
  Result<Value> quantize(const json &e, bool scales);
  Status wrong(const json &e, const std::string &why) const {
    std::string text = e.dump();
    return Status::error(why, ": ", text.size() > 120 ? text.substr(0, 120) + " ..." : text);
  }
  Result<Value> find(const TensorMap &in, const std::string &name, std::string_view what) const {
    auto found = in.find(name);
    return found == in.end() ? Result<Value>(Status::error("there is no ", what, " \"", name, "\""))
                             : valueOf(found->second, name);
  }

  const Parameter &parameter;
  const TensorMap &before;
  uint64_t seed;
  const Decisions &decisions;
};

Result<Value> Evaluator::initial() const {
  PEER_TRY_ASSIGN(Tensor tensor, Tensor::zeros(DType::F32, parameter.shape, parameter.name));
  PEER_TRY(fillRandom(tensor, parameter.init, RandomStream(seed, parameter.name)));
  return valueOf(tensor, parameter.name);
}

/// Slices of a dimension, by their numbers: what repeats them, leaves some out, or takes one for several.
Result<Value> Evaluator::pick(const json &e, const std::string &word) {
  PEER_TRY_ASSIGN(Value of, evaluate(e.at(1)));
  size_t axis = e.at(2).get<size_t>();
  if (axis >= of.shape.size())
    return wrong(e, "there is no such dimension");
  Slices slices(of.shape, axis);
  std::vector<int64_t> chosen;
  int64_t count = word == "gather" ? 0 : e.at(3).get<int64_t>();
  if (word == "repeat" && count >= 1) {
    for (int64_t i = 0; i < slices.size * count; ++i)
      chosen.push_back(i / count);
  } else if (word == "first" && count >= 1 && slices.size % count == 0) {
    for (int64_t i = 0; i < slices.size; i += count)
      chosen.push_back(i);
  } else if (word == "slice" && count >= 0 && e.at(4).get<int64_t>() >= 0 &&
             count <= slices.size - e.at(4).get<int64_t>()) {
    chosen.resize(e.at(4).get<size_t>());
    std::iota(chosen.begin(), chosen.end(), count);
  } else if (word == "gather") {
    PEER_TRY_ASSIGN(Value numbers, find(decisions, e.at(3).get<std::string>(), "decision"));
    for (float number : numbers.data) {
      if (!(number >= 0 && number < static_cast<float>(slices.size)))
        return wrong(e, concat("there is no slice ", number));
      chosen.push_back(static_cast<int64_t>(number));
    }
  } else {
    return wrong(e, concat("a dimension of ", slices.size, " has no such slices"));
  }
  Value result{of.shape, {}};
  result.shape[axis] = static_cast<int64_t>(chosen.size());
  result.data.reserve(static_cast<size_t>(product(result.shape)));
  for (int64_t outer = 0; outer < slices.outer; ++outer) {
    const float *start = of.data.data() + outer * slices.size * slices.inner;
    for (int64_t slice : chosen)
      result.data.insert(result.data.end(), start + slice * slices.inner, start + (slice + 1) * slices.inner);
    for (int64_t i = 0; word == "first" && i < slices.size; ++i)
      if (std::memcmp(start + i * slices.inner, start + i / count * count * slices.inner,
                      static_cast<size_t>(slices.inner) * sizeof(float)) != 0)
        return Status::error("rows ", i / count * count, " and ", i, " of \"", parameter.name,
                             "\" differ, expected the same in each group of ", count);
  }
  return result;
}

Result<Value> Evaluator::combine(const json &e) {
  PEER_TRY_ASSIGN(Value of, evaluate(e.at(1)));
  size_t axis = e.at(2).get<size_t>();
  if (axis >= of.shape.size())
    return wrong(e, "there is no such dimension");
  Slices slices(of.shape, axis);
  PEER_TRY_ASSIGN(Value shares, find(decisions, e.at(3).get<std::string>(), "decision"));
  if (shares.shape.size() != 2 || shares.shape[1] != slices.size)
    return wrong(e, concat("a dimension of ", slices.size, " is not summed by a matrix ", shapeText(shares.shape)));
  Value result{of.shape, {}};
  int64_t sums = result.shape[axis] = shares.shape[0];
  result.data.resize(static_cast<size_t>(product(result.shape)));
  auto *to = result.data.data();
  for (int64_t outer = 0; outer < slices.outer; ++outer)
    for (int64_t sum = 0; sum < sums; ++sum, to += slices.inner)
      for (int64_t slice = 0; slice < slices.size; ++slice)
        // What has no share plays no part, and one with the whole is copied as it is.
        if (float share = shares.data[static_cast<size_t>(sum * slices.size + slice)]; share != 0)
          for (int64_t i = 0; i < slices.inner; ++i)
            to[i] += share * of.data[static_cast<size_t>((outer * slices.size + slice) * slices.inner + i)];
  return result;
}

Result<Value> Evaluator::concatenate(const json &e) {
  size_t axis = e.at(1).get<size_t>();
  std::vector<Value> parts;
  int64_t size = 0;
  for (const json &part : e.at(2)) {
    PEER_TRY_ASSIGN(Value value, evaluate(part));
    if (axis >= value.shape.size())
      return wrong(e, "there is no such dimension");
    size += value.shape[axis];
    parts.push_back(std::move(value));
  }
  if (parts.empty())
    return wrong(e, "there is nothing to join");
  Value result{parts.front().shape, {}};
  for (const Value &part : parts) {
    Shape like = part.shape;
    like[axis] = parts.front().shape[axis];
    if (like != parts.front().shape)
      return wrong(e, "parts that are joined differ in another dimension, too");
  }
  result.shape[axis] = size;
  for (int64_t outer = 0; outer < Slices(result.shape, axis).outer; ++outer)
    for (const Value &part : parts) {
      int64_t elements = product(part.shape, axis);
      result.data.insert(result.data.end(), part.data.begin() + outer * elements,
                         part.data.begin() + (outer + 1) * elements);
    }
  return result;
}

Result<Value> Evaluator::transpose(const json &e) {
  PEER_TRY_ASSIGN(Value of, evaluate(e.at(1)));
  auto order = e.at(2).get<std::vector<size_t>>();
  std::vector<size_t> sorted(order), expected(of.shape.size());
  std::ranges::sort(sorted);
  std::iota(expected.begin(), expected.end(), size_t{0});
  if (sorted != expected)
    return wrong(e, "that is no order of the dimensions");
  Value result{{}, std::vector<float>(of.data.size())};
  Shape strides;
  for (size_t axis : order) {
    result.shape.push_back(of.shape[axis]);
    strides.push_back(product(of.shape, axis + 1));
  }
  Shape at(order.size(), 0);
  for (float &element : result.data) {
    element = of.data[static_cast<size_t>(std::inner_product(at.begin(), at.end(), strides.begin(), int64_t{0}))];
    for (size_t axis = at.size(); axis-- > 0 && ++at[axis] == result.shape[axis];)
      at[axis] = 0;
  }
  return result;
}

Result<Value> Evaluator::quantize(const json &e, bool scales) {
  PEER_TRY_ASSIGN(Value of, evaluate(e.at(1)));
  bool isFP8 = e.at(2) == "fp8";
  Rounding rounding{isFP8 ? 8 : e.at(2).get<int>(), e.at(3).get<int64_t>(), isFP8};
  if (of.shape.empty() || !rounding.fits(of.shape.back()))
    return wrong(e, concat("vectors of ", of.shape.empty() ? 0 : of.shape.back(), " elements are not stored so"));
  for (float element : of.data)
    if (!std::isfinite(element))
      return Status::error("it holds a value that is not finite");
  int64_t width = of.shape.back(), vectors = product(of.shape) / width;
  Value result{rounding.shapeOf(of.shape, scales), {}};
  result.data.resize(static_cast<size_t>(product(result.shape)));
  int64_t each = static_cast<int64_t>(result.data.size()) / vectors;
#pragma omp parallel for schedule(static)
  for (int64_t vector = 0; vector < vectors; ++vector) {
    std::span from(of.data.data() + vector * width, static_cast<size_t>(width));
    std::vector<float> scale = rounding.scales(from);
    std::vector<int8_t> bytes = scales ? std::vector<int8_t>() : rounding.bytes(from, scale);
    float *to = result.data.data() + vector * each;
    if (scales)
      std::ranges::copy(scale, to);
    else
      std::ranges::copy(bytes, to);
  }
  return result;
}

Result<Value> Evaluator::evaluate(const json &e) {
  auto word = e.at(0).get<std::string>();
  if (word == "tensor")
    return find(before, e.at(1).get<std::string>(), "tensor");
  if (word == "decided")
    return find(decisions, e.at(1).get<std::string>(), "decision");
  if (word == "initial")
    return initial();
  if (word == "repeat" || word == "first" || word == "slice" || word == "gather")
    return pick(e, word);
  if (word == "combine")
    return combine(e);
  if (word == "concat")
    return concatenate(e);
  if (word == "transpose")
    return transpose(e);
  if (word == "quantize" || word == "scales")
    return quantize(e, word == "scales");
  if (word == "zeros") {
    Value value{e.at(1).get<Shape>(), {}};
    PEER_TRY(byteCount(DType::F32, value.shape).status());
    value.data.resize(static_cast<size_t>(product(value.shape)));
    return value;
  }
  if (word != "scale" && word != "reshape")
    return wrong(e, "there is no such word");
  PEER_TRY_ASSIGN(Value value, evaluate(e.at(1)));
  if (word == "scale") {
    for (float &element : value.data)
      element *= e.at(2).get<float>();
    return value;
  }
  value.shape = e.at(2).get<Shape>();
  if (product(value.shape) != static_cast<int64_t>(value.data.size()))
    return wrong(e, concat("there are ", value.data.size(), " elements"));
  return value;
}

/// `isStored`: the values are the bytes that i8 and fp8 parameters hold.
Result<Tensor> tensorOf(const Parameter &parameter, const Value &value, bool isStored) {
  if (value.shape != parameter.shape)
    return Status::error("it is ", shapeText(value.shape), ", expected ", shapeText(parameter.shape));
  PEER_TRY_ASSIGN(Tensor tensor, Tensor::zeros(parameter.dtype, parameter.shape, parameter.name));
  if (parameter.dtype == DType::F32)
    std::ranges::copy(value.data, tensor.as<float>().begin());
  else if (parameter.dtype == DType::BF16)
    std::ranges::transform(value.data, tensor.as<uint16_t>().begin(), floatToBf16);
  else if ((parameter.dtype == DType::I8 || parameter.dtype == DType::F8E4M3) && isStored)
    std::ranges::transform(value.data, static_cast<int8_t *>(tensor.data()),
                           [](float v) { return static_cast<int8_t>(v); });
  else
    return Status::error("it is computed, expected f32 or bf16, got ", dtypeName(parameter.dtype));
  return tensor;
}

/// Reads a plan's layers: each of them, and the value of its expression `field`.
Status readLayers(std::string_view text, const std::string &path, const TensorMap &before, const char *field,
                  const std::function<Status(const json &layer, Value value)> &read) {
  json plan = json::parse(text, nullptr, /*allow_exceptions=*/false);
  try {
    for (const json &layer : plan.at("layers")) {
      Parameter none{};
      PEER_TRY_ASSIGN(Value value, Evaluator(none, before, 0, {}).evaluate(layer.at(field)));
      PEER_TRY(read(layer, std::move(value)));
    }
  } catch (const json::exception &error) {
    return Status::error(path, " says its layers otherwise than expected: ", error.what());
  }
  return {};
}

} // namespace

Result<std::vector<DenseRows>> readDenseRows(std::string_view text, const std::string &path, const TensorMap &before) {
  std::vector<DenseRows> layers;
  PEER_TRY(readLayers(text, path, before, "rows", [&](const json &layer, Value rows) -> Status {
    if (rows.shape.size() != 3)
      return Status::error(path, ": rows of a layer are ", shapeText(rows.shape),
                           ", expected hidden x vectors x width");
    layers.push_back({layer.at("name").get<std::string>(), layer.at("activation").get<std::string>(),
                      layer.at("experts").get<int64_t>(), rows.shape, std::move(rows.data)});
    return {};
  }));
  return layers;
}

Result<std::vector<PrunedLayer>> readPrunedLayers(std::string_view text, const std::string &path,
                                                  const TensorMap &before, bool withPools) {
  std::vector<PrunedLayer> layers;
  PEER_TRY(readLayers(text, path, before, "router", [&](const json &layer, Value router) -> Status {
    auto count = layer.at("experts_before").get<int64_t>();
    if (router.shape.size() != 4 || router.shape[2] != count)
      return Status::error(path, ": the rows of a router are ", shapeText(router.shape), ", expected heads x 1 x ",
                           count, " x width");
    layers.push_back({layer.at("name").get<std::string>(),
                      count,
                      layer.at("experts").get<int64_t>(),
                      router.shape,
                      std::move(router.data),
                      {},
                      {}});
    return {};
  }));
  if (!withPools)
    return layers;
  auto next = layers.begin();
  PEER_TRY(readLayers(text, path, before, "pool", [&](const json &, Value pool) -> Status {
    if (pool.shape.size() != 3 || pool.shape[0] % next->before)
      return Status::error(path, ": a pool is ", shapeText(pool.shape), ", expected rows of ", next->before,
                           " experts x vectors x width");
    // Rows are numbered in f32.
    if (pool.shape[0] > int64_t{1} << 24)
      return Status::error("the pool \"", next->name, "\" has ", pool.shape[0],
                           " rows, expected at most 2^24 of experts that are merged");
    next->poolShape = pool.shape;
    next++->pool = std::move(pool.data);
    return {};
  }));
  return layers;
}

Result<TensorMap> applyPlan(std::string_view text, const std::string &path, const Manifest &after,
                            const TensorMap &before, uint64_t seed, const Decisions &decisions) {
  json plan = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!plan.is_object() || !plan.contains("tensors") || !plan["tensors"].is_object())
    return Status::error(path, " is no plan of weights: expected a JSON object with \"tensors\"");
  TensorMap result;
  for (const Parameter &parameter : after.parameters) {
    auto fail = [&](const Status &why) {
      return Status::error("the parameter \"", parameter.name, "\" of the converted model: ", why.message());
    };
    auto planned = plan["tensors"].find(parameter.name);
    auto kept = before.find(parameter.name);
    bool isKept = planned == plan["tensors"].end();
    if (isKept &&
        (kept == before.end() || kept->second.dtype() != parameter.dtype || kept->second.shape() != parameter.shape))
      return Status::error(path, " does not say where the parameter \"", parameter.name, "\" (",
                           typeText(parameter.dtype, parameter.shape), ") of the converted model comes from");
    if (isKept) {
      PEER_TRY_ASSIGN(Tensor copy, kept->second.clone());
      result.emplace(parameter.name, std::move(copy));
      continue;
    }
    try {
      Result<Value> value = Evaluator(parameter, before, seed, decisions).evaluate(*planned);
      if (!value.ok())
        return fail(value.status());
      Result<Tensor> tensor = tensorOf(parameter, *value, planned->at(0) == "quantize");
      if (!tensor.ok())
        return fail(tensor.status());
      result.emplace(parameter.name, std::move(*tensor));
    } catch (const json::exception &error) {
      return fail(Status::error("its expression is not as it should be: ", error.what()));
    }
  }
  return result;
}

} // namespace peer::runtime
