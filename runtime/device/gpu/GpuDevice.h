// What GPUs are to artifacts compiled for them: memory of their own, one stream of operations, a clock. `cuda` and `sim` are such devices.
//
// Operations on the device are ordered by its one stream: launches, copies within the device, fills and marks are put on it and may
// still be running when their function returns; copyIn and copyOut end when the host's buffer is free again or filled. An operation's error
// may come late, at copyOut or synchronize. send and fetch only put a copy on the stream, and can be part of a graph: their host memory is the
// device's own, and belongs to the copy until synchronize. A device is used by one thread at a time.
#pragma once

#include "device/Device.h"
#include "device/Profile.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace peer::runtime {

/// An address in the device's memory. The host never dereferences it. Null is 0.
using DeviceAddress = uint64_t;

/// What a device calls its modules, functions and graphs. Each class of devices derives its own from them, or hands out handles of its driver
/// cast to these pointers: nobody else looks behind them.
struct DeviceModule {};
struct DeviceFunction {};
struct DeviceGraph {};

/// The code of one module. `ptx` has no terminating zero within its size, but one behind it.
struct ModuleImage {
  std::string_view ptx;
  /// Machine code for the artifact's architecture; empty where the artifact has none. A device that cannot run it takes the PTX.
  std::span<const std::byte> cubin;
};

struct LaunchShape {
  std::array<uint64_t, 3> grid{1, 1, 1}, block{1, 1, 1};
  /// Dynamic shared memory, beside what the kernel declares.
  uint32_t sharedBytes = 0;
};

/// C = alpha * op(A) op(B) + beta * C in f32, row-major; C is m x n, `lda`, `ldb`, `ldc` are elements from row to row of the stored matrices.
struct MatrixProduct {
  bool transA = false, transB = false;
  int64_t m = 0, n = 0, k = 0;
  float alpha = 1, beta = 0;
  DeviceAddress a = 0, b = 0, c = 0;
  int64_t lda = 0, ldb = 0, ldc = 0;
};

class GpuDevice : public Device {
public:
  std::unique_ptr<DeviceSession> begin(std::shared_ptr<Artifact> artifact) override;
  bool replaysCalls() const override { return capturesGraphs(); }
  /// Of copies within its memory, bytes read and written together.
  Result<double> measureBandwidth() override;

  /// At least 256-byte aligned, not initialised. The error says what was asked and what is free: outOfDeviceMemory(). Allowed during a
  /// capture, where it happens at once and is no part of the graph.
  virtual Result<DeviceAddress> allocate(uint64_t bytes) = 0;
  /// Waits for what is on the stream; null is ignored.
  virtual Status free(DeviceAddress address) = 0;
  /// Says that the contents of a block that is used again are undefined from here on. A device that looks for reads of memory never written
  /// wants to know; others ignore it.
  virtual Status discard(DeviceAddress address, uint64_t bytes) { return {}; }

  /// Whether blocks in use should not share an allocation, since accesses beyond the end of one are found.
  virtual bool separatesBlocks() const { return false; }

  /// Memory of the host that the device reads and writes by itself, at least 256-byte aligned, not initialised.
  virtual Result<std::byte *> allocateHost(uint64_t bytes) = 0;
  /// Waits for what is on the stream; null is ignored.
  virtual Status freeHost(std::byte *memory) = 0;
  /// Puts a copy from the host on the stream, or into its capture; `from` is in memory of allocateHost.
  virtual Status send(DeviceAddress to, const std::byte *from, uint64_t bytes) = 0;
  /// The same to the host.
  virtual Status fetch(std::byte *to, DeviceAddress from, uint64_t bytes) = 0;

  /// Host to device. `from` may be changed when it returns.
  virtual Status copyIn(DeviceAddress to, const void *from, uint64_t bytes) = 0;
  /// Device to host, after everything on the stream.
  virtual Status copyOut(void *to, DeviceAddress from, uint64_t bytes) = 0;
  virtual Status copy(DeviceAddress to, DeviceAddress from, uint64_t bytes) = 0;
  /// Writes the lowest `unit` bytes (1, 2 or 4) of `value` `count` times.
  virtual Status fill(DeviceAddress to, uint32_t value, unsigned unit, uint64_t count) = 0;

  /// Loads a module; the image must stay where it is while the module is loaded. The error names what the device's compiler objects to.
  virtual Result<DeviceModule *> loadModule(const ModuleImage &image) = 0;
  virtual void unloadModule(DeviceModule *module) = 0;
  /// A kernel of a module, valid as long as the module. Asking again is cheap.
  virtual Result<DeviceFunction *> function(DeviceModule *module, const std::string &kernel) = 0;

  /// Puts a kernel on the stream. parameters[i] points to the value of parameter i, which is copied; how many bytes it has is known
  /// from the kernel.
  virtual Status launch(DeviceFunction *function, const LaunchShape &shape, std::span<void *const> parameters) = 0;

  /// True: the product was put on the stream. False: the device has no library for it.
  virtual Result<bool> matmul(const MatrixProduct &product) = 0;

  /// Waits for everything on the stream; the first error since the last call of this function, where there was one.
  virtual Status synchronize() = 0;

  /// From here to leaveStream what is put on the device's stream goes to one of the caller's instead, after all that is on the device's own; what
  /// is put on that later comes after it. Whether the caller is recording his stream into a graph: then nothing may wait for it.
  virtual Result<bool> enterStream(void *stream) { return Status::error("the device ", name(), " has no streams"); }
  virtual Status leaveStream() { return {}; }

  /// Records when the stream gets here: kernel `kernel` of the entry starts, -1: the last one ended.
  virtual Status mark(int64_t kernel) = 0;
  /// The marks since the last call of this function, in order, on the device's clock. Waits for the stream.
  virtual Result<std::vector<ProfileMark>> takeMarks() = 0;

  /// Whether sequences of operations can be recorded and run again.
  virtual bool capturesGraphs() const { return false; }
  /// From here to endCapture launches, copies within the device, send, fetch, fills and products are recorded instead of executed. Modules and
  /// functions have been loaded by an earlier call of the same operations; copyIn, copyOut, synchronize and mark are not called.
  virtual Status beginCapture() { return Status::error("this device records no graphs"); }
  /// Ends the capture in any case; an error where something could not be recorded.
  virtual Result<DeviceGraph *> endCapture() { return Status::error("this device records no graphs"); }
  /// Puts all operations of a graph on the stream.
  virtual Status launch(DeviceGraph *graph) { return Status::error("this device records no graphs"); }
  virtual void destroy(DeviceGraph *graph) {}
};

/// "out of memory on the device: 1.1 GB were asked for, 0.4 GB of 150.1 GB are free".
Status outOfDeviceMemory(uint64_t bytes, const DeviceMemory &memory);

/// The first NVIDIA GPU, its driver opened at run time. One sentence where there is no driver, no GPU, or none that runs `arch`.
Result<std::shared_ptr<GpuDevice>> openCudaDevice(const std::string &arch);

} // namespace peer::runtime
