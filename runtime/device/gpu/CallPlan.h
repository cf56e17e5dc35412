// What calls of one entry with one T have in common: buffers of inputs, scalars and results that stay where they are, and the graph of the
// operations.
#pragma once

#include "CallBuffers.h"
#include "DeviceHeap.h"

namespace peer::runtime {

class CallPlan {
public:
  CallPlan(GpuDevice &device, DeviceHeap &heap, const Entry &entry, int64_t tokens)
      : frame(entry, tokens), buffers(device, entry, tokens), entry(entry), tokens(tokens), device(device), heap(heap) {
  }
  ~CallPlan() { dropGraph(); }
  CallPlan(const CallPlan &) = delete;
  CallPlan &operator=(const CallPlan &) = delete;

  bool isFor(const Entry &other, int64_t otherTokens) const { return &entry == &other && tokens == otherTokens; }

  /// Takes the value of input or scalar `index`.
  Status put(size_t index, const void *value);
  /// Says where argument `index` lies. A graph made for another address is given up.
  void set(size_t index, DeviceAddress address);

  /// Whether there is a graph, with copies of the buffers in it or without.
  bool hasGraph(bool copies) const { return graph != nullptr && graphCopies == copies; }
  /// Keeps a graph that was recorded just now, with the frame's results. `taken` are the blocks that it uses.
  void keep(DeviceGraph *recorded, bool copies, std::vector<DeviceAddress> taken);
  void dropGraph();
  Status launchGraph() { return device.launch(graph); }
  /// The results' descriptors of the last call.
  std::span<const int64_t> results() const { return resultWords; }
  /// Takes them from the frame (after host code ran), or from the graph.
  void resultsOfFrame() { resultWords.assign(frame.results().begin(), frame.results().end()); }
  void resultsOfGraph() { resultWords = graphResults; }

  CallFrame frame;
  CallBuffers buffers;
  /// Completed calls; whether recording was tried in vain.
  int64_t calls = 0;
  bool refusesGraph = false;

private:
  const Entry &entry;
  int64_t tokens;
  GpuDevice &device;
  DeviceHeap &heap;
  DeviceGraph *graph = nullptr;
  bool graphCopies = false;
  std::vector<DeviceAddress> pinned;
  std::vector<int64_t> graphResults, resultWords;
};

} // namespace peer::runtime
