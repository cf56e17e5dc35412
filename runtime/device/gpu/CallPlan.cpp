#include "CallPlan.h"

#include <utility>

namespace peer::runtime {

Status CallPlan::put(size_t index, const void *value) {
  set(index, buffers.address(index));
  return buffers.put(index, value);
}

void CallPlan::set(size_t index, DeviceAddress address) {
  if (frame.set(index, reinterpret_cast<void *>(address)))
    dropGraph();
}

void CallPlan::keep(DeviceGraph *recorded, bool copies, std::vector<DeviceAddress> taken) {
  graph = recorded;
  graphCopies = copies;
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
