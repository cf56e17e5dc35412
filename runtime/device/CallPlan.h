// What calls of one entry with one T have in common: buffers for inputs and scalars that stay where they are, and the graph of the operations.
#pragma once

#include "../CallFrame.h"
#include "DeviceHeap.h"

namespace peer::runtime {

class CallPlan {
public:
  CallPlan(Device &device, DeviceHeap &heap, const Entry &entry, int64_t tokens)
      : frame(entry, tokens), entry(entry), tokens(tokens), device(device), heap(heap),
        staging(entry.arguments.size(), 0) {}
  ~CallPlan();
  CallPlan(const CallPlan &) = delete;
  CallPlan &operator=(const CallPlan &) = delete;

  bool isFor(const Entry &other, int64_t otherTokens) const { return &entry == &other && tokens == otherTokens; }

  /// Copies the value of input or scalar `index` to its buffer.
  Status stage(size_t index, const void *data, uint64_t bytes);
  /// Says where argument `index` lies. A graph made for another address is given up.
  void set(size_t index, DeviceAddress address);

  bool hasGraph() const { return graph != nullptr; }
  /// Keeps a graph that was recorded just now, with the frame's results. `taken` are the blocks that it uses.
  void keep(DeviceGraph *recorded, std::vector<DeviceAddress> taken);
  Status launchGraph() { return device.launch(graph); }
  /// The results' descriptors of the last call.
  std::span<const int64_t> results() const { return resultWords; }
  /// Takes them from the frame (after host code ran), or from the graph.
  void resultsOfFrame() { resultWords.assign(frame.results().begin(), frame.results().end()); }
  void resultsOfGraph() { resultWords = graphResults; }

  CallFrame frame;
  /// Completed calls; whether recording was tried in vain.
  int64_t calls = 0;
  bool refusesGraph = false;

private:
  void dropGraph();

  const Entry &entry;
  int64_t tokens;
  Device &device;
  DeviceHeap &heap;
  std::vector<DeviceAddress> staging; // by argument; null where there is none
  DeviceGraph *graph = nullptr;
  std::vector<DeviceAddress> pinned;
  std::vector<int64_t> graphResults, resultWords;
};

} // namespace peer::runtime
