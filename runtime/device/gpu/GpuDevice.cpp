#include "GpuDevice.h"

#include "DeviceHeap.h"
#include "GpuSession.h"
#include "core/Memory.h"
#include "core/Tensor.h"

#include <algorithm>

namespace peer::runtime {

std::unique_ptr<DeviceSession> GpuDevice::begin(std::shared_ptr<Artifact> artifact) {
  return std::make_unique<GpuSession>(*this, std::move(artifact));
}

Result<double> GpuDevice::measureBandwidth() {
  constexpr uint64_t most = uint64_t{1} << 30;
  PEER_TRY_ASSIGN(DeviceMemory memory, memory());
  uint64_t bytes = std::min(most, memory.free / 4);
  DeviceHeap heap(*this);
  PEER_TRY_ASSIGN(DeviceAddress from, heap.take(bytes));
  PEER_TRY_ASSIGN(DeviceAddress to, heap.take(bytes));
  PEER_TRY(fill(from, 0x3f800000, 4, bytes / 4));
  for (int64_t pass = 0; pass < 8; ++pass) {
    PEER_TRY(mark(pass));
    PEER_TRY(copy(to, from, bytes));
  }
  PEER_TRY(mark(-1));
  PEER_TRY_ASSIGN(std::vector<ProfileMark> marks, takeMarks());
  double best = 0;
  for (size_t i = 1; i < marks.size(); ++i)
    best =
        std::max(best, 2 * static_cast<double>(bytes) /
                           static_cast<double>(std::max<int64_t>(marks[i].nanoseconds - marks[i - 1].nanoseconds, 1)));
  return best;
}

Status outOfDeviceMemory(uint64_t bytes, const DeviceMemory &memory) {
  return Status::error("out of memory on the device: ", bytesText(bytes), " were asked for, ", bytesText(memory.free),
                       " of ", bytesText(memory.total), " are free");
}

} // namespace peer::runtime
