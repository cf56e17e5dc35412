#include "Bandwidth.h"

#include "core/Memory.h"
#include "core/Tensor.h"
#include "device/Profile.h"

#include <algorithm>

namespace peer::runtime {

namespace {
constexpr int64_t kChunk = int64_t{1} << 16;

/// The sum of kChunk floats, with enough accumulators that memory and not the latency of an addition sets the pace.
float sumOf(const float *data) {
  using Vector = float __attribute__((vector_size(64)));
  Vector sums[4] = {};
  const auto *vectors = reinterpret_cast<const Vector *>(data);
  for (int64_t i = 0; i < kChunk / 16; i += 4)
    for (int lane = 0; lane < 4; ++lane)
      sums[lane] += vectors[i + lane];
  Vector total = sums[0] + sums[1] + sums[2] + sums[3];
  return total[0] + total[15];
}
} // namespace

Result<double> measureReadBandwidth() {
  constexpr int64_t most = int64_t{512} << 20, least = int64_t{256} << 20;
  int64_t bytes = availableMemory() > 3 * static_cast<uint64_t>(most) ? most : least;
  PEER_TRY_ASSIGN(Tensor buffer, Tensor::zeros(DType::F32, {bytes / 4}, "the buffer to measure memory bandwidth with"));
  float *data = buffer.as<float>().data();
  int64_t count = buffer.elements();
  // Written by the threads that read it later, so that each reads from its own memory node; untouched pages would all be one page of zeros.
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < count; ++i)
    data[i] = 1.0f;
  double best = 0;
  volatile float sink = 0;
  for (int pass = 0; pass < 8; ++pass) {
    float sum = 0;
    int64_t start = nowNanoseconds();
#pragma omp parallel for schedule(static) reduction(+ : sum)
    for (int64_t chunk = 0; chunk < count / kChunk; ++chunk)
      sum += sumOf(data + chunk * kChunk);
    double seconds = static_cast<double>(nowNanoseconds() - start) * 1e-9;
    sink = sink + sum;
    best = std::max(best, static_cast<double>(bytes) / seconds * 1e-9);
  }
  return best;
}

} // namespace peer::runtime
