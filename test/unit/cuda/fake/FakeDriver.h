// A CUDA driver without a GPU: libcuda.so.1 on top of the PTX simulator, for tests. It is as lazy as it may be: what is put on a stream
// runs when somebody waits for it, so that a buffer that is used again too early holds the wrong values. It is as strict as the real one
// about handles, sizes and what a capture allows, and stricter where the real one would compute nonsense.
//
// Environment, read at every cuInit: FAKE_CUDA_DEVICES (how many, default 1), FAKE_CUDA_VERSION (default 13000), FAKE_CUDA_ARCH (compute
// capability as in sm_90, default 90), FAKE_CUDA_MEMORY (bytes of the device, default 1 GiB; no module fits into 0), FAKE_CUDA_REFUSE
// (kernels whose names begin so cannot be launched), FAKE_CUDA_FAIL (they fail when they run), FAKE_CUDA_COUNTS (where set, the counts
// are printed at exit), FAKE_CUDA_QUIET (where set, refusals are not explained on stderr).
#pragma once

#include "FakeCounts.h"
#include "device/cuda/CudaApi.h"
#include "sim/Simulator.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace peer::runtime::cuda::fake {

/// What is put on a stream, and what a graph is made of.
struct Operation {
  std::function<Code()> run;
  bool kernel = false;
  /// Of copies from and to the host.
  size_t bytesIn = 0, bytesOut = 0;
  /// Where it waits for something: whether that is there.
  std::function<bool()> ready = {};
};
using Operations = std::vector<Operation>;

struct FakeStream {
  Operations waiting;
  std::unique_ptr<Operations> captured;
  int captureMode = 0;
  bool invalidated = false;
};

struct FakeFunction {
  std::string name;
  std::weak_ptr<const sim::LoadedModule *> module;
  std::vector<sim::Program::Parameter> parameters;
  uint32_t staticShared = 0;
  unsigned maxThreads = 1024;
  unsigned maxDynamicShared = 0;
};

struct FakeModule {
  std::shared_ptr<const sim::LoadedModule *> loaded;
  std::map<std::string, std::unique_ptr<FakeFunction>> functions;
};

struct FakeEvent {
  bool timing = true, recorded = false, done = false, captured = false;
  /// How often it was put on a stream, and up to which of these streams got there.
  uint64_t records = 0, finished = 0;
  double seconds = 0;
};

/// Things by the handles that were given out for them.
template <typename Handle, typename T>
class Registry {
public:
  Handle make(std::unique_ptr<T> thing) {
    auto handle = reinterpret_cast<Handle>(thing.get());
    things[handle] = std::move(thing);
    return handle;
  }
  /// Null for a handle that nobody was given, or that was destroyed.
  T *find(Handle handle) {
    auto found = things.find(handle);
    return found == things.end() ? nullptr : found->second.get();
  }
  bool erase(Handle handle) { return things.erase(handle) != 0; }
  void clear() { things.clear(); }
  auto begin() { return things.begin(); }
  auto end() { return things.end(); }

private:
  std::map<Handle, std::unique_ptr<T>> things;
};

struct Settings {
  int devices = 1, version = 13000, arch = 90;
  uint64_t memory = uint64_t{1} << 30;
  std::string refuse, fail;
};

struct Driver {
  std::recursive_mutex mutex;
  Settings settings;
  bool initialised = false;
  int retained = 0;
  /// An error of a kernel stays until the context is gone.
  Code sticky = kSuccess;
  std::unique_ptr<sim::Simulator> simulator;
  Registry<Stream, FakeStream> streams;
  Registry<Module, FakeModule> modules;
  Registry<Event, std::shared_ptr<FakeEvent>> events;
  Registry<Graph, Operations> graphs;
  Registry<GraphExec, std::shared_ptr<Operations>> graphExecs;
  std::map<uint64_t, uint64_t> allocations;
  std::map<const char *, std::unique_ptr<char[]>> pinned;
  std::map<const char *, size_t> pinnedBytes;
  Counts counts;

  sim::Memory &memory() { return simulator->memory(); }
  FakeFunction *find(Function handle);
  /// A capture in which calls that are not put on a stream are refused; it is broken by one.
  Code refuseInCapture();
  /// Puts an operation on the stream, or into its capture.
  Code enqueue(Stream stream, Operation operation);
  /// Runs what waits on a stream up to where it waits for another; whether there was anything.
  bool advance(FakeStream &stream);
  /// Runs all that waits on a stream, and what that waits for.
  Code drain(FakeStream &stream);
  Code drainAll();
  bool isPinned(const void *pointer, size_t bytes) const;
  /// Explains a refusal where a test's author sees it, and returns `code`.
  Code explain(Code code, const std::string &why) const;
};

Driver &driver();

/// Runs `body` where the driver is initialised, its context current and without an error that stays; else returns what is wrong.
Code inContext(const std::function<Code(Driver &)> &body);

extern "C" {
#define PEER_CUDA_DECLARE(member, symbol, parameters) __attribute__((visibility("default"))) Code symbol parameters;
PEER_CUDA_API(PEER_CUDA_DECLARE)
PEER_CUDA_OPTIONAL_API(PEER_CUDA_DECLARE)
#undef PEER_CUDA_DECLARE
}

} // namespace peer::runtime::cuda::fake
