#include "Bench.h"

#include "device/Profile.h"
#include "model/Random.h"

#include <algorithm>

namespace peer::runtime {

namespace {
double medianOf(std::vector<double> values) {
  if (values.empty())
    return 0;
  std::sort(values.begin(), values.end());
  size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double minimumOf(const std::vector<double> &values) {
  return values.empty() ? 0 : *std::min_element(values.begin(), values.end());
}

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

/// Time per kernel of one call: each mark ends the kernel before it.
std::vector<double> kernelTimes(const std::vector<ProfileMark> &marks, int64_t end, size_t kernels) {
  std::vector<double> us(kernels, 0.0);
  for (size_t i = 0; i < marks.size(); ++i) {
    int64_t kernel = marks[i].kernel;
    int64_t stop = i + 1 < marks.size() ? marks[i + 1].nanoseconds : end;
    if (kernel >= 0 && static_cast<size_t>(kernel) < kernels)
      us[static_cast<size_t>(kernel)] += static_cast<double>(stop - marks[i].nanoseconds) * 1e-3;
  }
  return us;
}
} // namespace

Result<double> measureStreamBandwidth() {
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

Result<double> measureCopyBandwidth(Device &device) {
  constexpr uint64_t most = uint64_t{1} << 30;
  PEER_TRY_ASSIGN(DeviceMemory memory, device.memory());
  uint64_t bytes = std::min(most, memory.free / 4);
  DeviceHeap heap(device);
  PEER_TRY_ASSIGN(DeviceAddress from, heap.take(bytes));
  PEER_TRY_ASSIGN(DeviceAddress to, heap.take(bytes));
  PEER_TRY(device.fill(from, 0x3f800000, 4, bytes / 4));
  for (int64_t pass = 0; pass < 8; ++pass) {
    PEER_TRY(device.mark(pass));
    PEER_TRY(device.copy(to, from, bytes));
  }
  PEER_TRY(device.mark(-1));
  PEER_TRY_ASSIGN(std::vector<ProfileMark> marks, device.takeMarks());
  double best = 0;
  for (size_t i = 1; i < marks.size(); ++i)
    best =
        std::max(best, 2 * static_cast<double>(bytes) /
                           static_cast<double>(std::max<int64_t>(marks[i].nanoseconds - marks[i - 1].nanoseconds, 1)));
  return best;
}

Result<BenchResult> benchEntry(Session &session, const Entry &entry, const TensorMap &inputs, const ScalarMap &scalars,
                               int64_t repeats) {
  BenchResult result;
  result.entry = entry.name;
  result.repeats = repeats;
  PEER_TRY_ASSIGN(result.tokens, session.checkInputs(entry, inputs));
  size_t kernels = entry.kernels.size();
  std::vector<double> totals;
  std::vector<std::vector<double>> perKernel(kernels);
  auto timed = [&](std::vector<double> *us) -> Status {
    int64_t start = nowNanoseconds();
    Result<TensorMap> outputs = session.call(entry, inputs, scalars);
    if (us)
      us->push_back(static_cast<double>(nowNanoseconds() - start) * 1e-3);
    return outputs.status();
  };
  session.resetPeak();
  Device *device = session.device();
  bool replays = device && device->capturesGraphs();
  // A graph is recorded by the second call.
  for (int warmUps = replays ? 2 : 1; warmUps > 0; --warmUps)
    PEER_TRY(timed(nullptr));
  for (int64_t repeat = 0; replays && repeat < repeats; ++repeat)
    PEER_TRY(timed(&totals));
  for (int64_t repeat = 0; repeat < repeats; ++repeat) {
    ProfileRecording recording;
    PEER_TRY(timed(replays ? nullptr : &totals));
    std::vector<double> times = kernelTimes(recording.marks, nowNanoseconds(), kernels);
    for (size_t kernel = 0; kernel < kernels; ++kernel)
      perKernel[kernel].push_back(times[kernel]);
  }
  result.peakBytes = session.peakBytes();
  if (device) {
    DeviceActivity activity = device->activity();
    result.device = concat(device->name(), " (", device->description(), ")");
    if (activity.seconds > 0)
      result.laneOperationsPerSecond = static_cast<double>(activity.laneOperations) / activity.seconds;
  }
  result.medianUs = medianOf(totals);
  result.minUs = minimumOf(totals);
  for (size_t kernel = 0; kernel < kernels; ++kernel) {
    const KernelInfo &info = entry.kernels[kernel];
    result.kernels.push_back({info.name, medianOf(perKernel[kernel]), minimumOf(perKernel[kernel]),
                              info.bytesAt(result.tokens), info.flopsAt(result.tokens)});
  }
  if (result.laneOperationsPerSecond == 0) {
    PEER_TRY_ASSIGN(result.streamGbPerSecond, device ? measureCopyBandwidth(*device) : measureStreamBandwidth());
  }
  return result;
}

Result<TensorMap> randomInputs(const Entry &entry, int64_t tokens, uint64_t seed) {
  TensorMap inputs;
  for (const Argument &argument : entry.arguments) {
    if (argument.role != Role::Input)
      continue;
    Shape shape = argument.shape;
    std::replace(shape.begin(), shape.end(), kDynamic, tokens);
    PEER_TRY_ASSIGN(Tensor tensor,
                    Tensor::zeros(argument.dtype, std::move(shape), concat("input \"", argument.name, "\"")));
    RandomStream stream(seed, argument.name);
    if (isInteger(argument.dtype)) {
      std::array<int64_t, 2> range = argument.range.value_or(std::array<int64_t, 2>{0, 2});
      if (range[0] >= range[1])
        return Status::error("entry \"", entry.name, "\": input \"", argument.name, "\" has the empty range [",
                             range[0], ", ", range[1], ")");
      PEER_TRY(fillUniformIntegers(tensor, range[0], range[1], stream));
    } else {
      Init init;
      init.kind = Init::Kind::Normal;
      init.std = 1;
      PEER_TRY(fillRandom(tensor, init, stream));
    }
    inputs.emplace(argument.name, std::move(tensor));
  }
  return inputs;
}

} // namespace peer::runtime
