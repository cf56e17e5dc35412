#include "Random.h"

#include <cmath>
#include <cstring>

namespace peer::runtime {

namespace {
/// Two independent standard normals from one position of the stream (Box-Muller).
void normalPair(const RandomStream &stream, uint64_t position, float &first, float &second) {
  uint64_t bits = stream.bits(position);
  // In (0, 1]: the logarithm of zero is not wanted.
  float u = (static_cast<float>(bits >> 40) + 1.0f) * 0x1p-24f;
  float angle = static_cast<float>(bits & 0xffffffu) * (0x1p-24f * 6.2831853071795864769f);
  float radius = std::sqrt(-2.0f * std::log(u));
  first = radius * std::cos(angle);
  second = radius * std::sin(angle);
}

template <typename Store>
void fillNormal(int64_t count, const Init &init, const RandomStream &stream, Store store) {
  auto mean = static_cast<float>(init.mean), std = static_cast<float>(init.std);
#pragma omp parallel for schedule(static)
  for (int64_t pair = 0; pair < (count + 1) / 2; ++pair) {
    float first, second;
    normalPair(stream, static_cast<uint64_t>(pair), first, second);
    store(2 * pair, mean + std * first);
    if (2 * pair + 1 < count)
      store(2 * pair + 1, mean + std * second);
  }
}

template <typename Store>
void fillWith(int64_t count, const Init &init, const RandomStream &stream, Store store) {
  switch (init.kind) {
  case Init::Kind::Normal:
    fillNormal(count, init, stream, store);
    return;
  case Init::Kind::Uniform:
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < count; ++i)
      store(i, static_cast<float>(init.low + (init.high - init.low) * stream.uniform(static_cast<uint64_t>(i))));
    return;
  case Init::Kind::Constant:
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < count; ++i)
      store(i, static_cast<float>(init.value));
    return;
  }
}

/// Stores 64-bit integers as the tensor's type.
Status fillIntegers(Tensor &tensor, auto valueAt) {
  auto fill = [&](auto zero) {
    using T = decltype(zero);
    std::span<T> values = tensor.as<T>();
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<T>(valueAt(i));
    return Status();
  };
  switch (dtypeSize(tensor.dtype())) {
  case 1:
    return fill(int8_t{});
  case 2:
    return fill(int16_t{});
  case 4:
    return fill(int32_t{});
  default:
    return fill(int64_t{});
  }
}
} // namespace

Status fillRandom(Tensor &tensor, const Init &init, const RandomStream &stream) {
  int64_t count = tensor.elements();
  if (isInteger(tensor.dtype())) {
    if (init.kind != Init::Kind::Constant)
      return Status::error("integers can only be initialised by a constant");
    return fillIntegers(tensor, [&](size_t) { return static_cast<int64_t>(init.value); });
  }
  switch (tensor.dtype()) {
  case DType::F32: {
    float *to = tensor.as<float>().data();
    fillWith(count, init, stream, [to](int64_t i, float value) { to[i] = value; });
    return {};
  }
  case DType::F64: {
    double *to = tensor.as<double>().data();
    fillWith(count, init, stream, [to](int64_t i, float value) { to[i] = value; });
    return {};
  }
  case DType::BF16: {
    uint16_t *to = tensor.as<uint16_t>().data();
    fillWith(count, init, stream, [to](int64_t i, float value) { to[i] = floatToBf16(value); });
    return {};
  }
  case DType::F8E4M3:
    if (init.kind == Init::Kind::Constant && init.value == 0) {
      std::ranges::fill(tensor.as<uint8_t>(), uint8_t{0});
      return {};
    }
    [[fallthrough]];
  default:
    return Status::error("tensors of ", dtypeName(tensor.dtype()), " cannot be initialised");
  }
}

Status fillUniformIntegers(Tensor &tensor, int64_t low, int64_t high, const RandomStream &stream) {
  if (!isInteger(tensor.dtype()) || low >= high)
    return Status::error("cannot draw ", dtypeName(tensor.dtype()), " from [", low, ", ", high, ")");
  uint64_t width = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  return fillIntegers(
      tensor, [&](size_t i) { return static_cast<int64_t>(static_cast<uint64_t>(low) + stream.bits(i) % width); });
}

} // namespace peer::runtime
