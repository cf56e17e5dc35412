#include "CallPlan.h"

#include <algorithm>

namespace peer::runtime {

CallPlan::~CallPlan() {
  dropGraph();
  for (DeviceAddress address : staging)
    (void)device.free(address);
}

Status CallPlan::stage(size_t index, const void *data, uint64_t bytes) {
  if (!staging[index]) {
    PEER_TRY_ASSIGN(staging[index], device.allocate(std::max<uint64_t>(bytes, 1)));
  }
  set(index, staging[index]);
  return device.copyIn(staging[index], data, bytes);
}

void CallPlan::set(size_t index, DeviceAddress address) {
  if (frame.set(index, reinterpret_cast<void *>(address)))
    dropGraph();
}

void CallPlan::keep(DeviceGraph *recorded, std::vector<DeviceAddress> taken) {
  graph = recorded;
  pinned = std::move(taken);
  graphResults.assign(frame.results().begin(), frame.results().end());
}

void CallPlan::dropGraph() {
  if (!graph)
    return;
  device.destroy(std::exchange(graph, nullptr));
  heap.unpin(std::exchange(pinned, {}));
}

} // namespace peer::runtime
