// The device `cuda`: an NVIDIA GPU through the driver's own interface.
//
// PEER_CUDA_DEVICE gives the number of the GPU, 0 where it is not set. PEER_CUDA_BLOCKING=1 waits after each kernel, so that the error of
// one that fails names it, and records no graphs.
#pragma once

#include "CublasLt.h"
#include "CudaModule.h"
#include "CudaStaging.h"

#include <set>
#include <vector>

namespace peer::runtime::cuda {

class CudaDevice : public GpuDevice {
public:
  static Result<std::shared_ptr<CudaDevice>> open(const std::string &arch);
  static Result<std::string> localArch();
  CudaDevice() = default;
  ~CudaDevice() override;
  CudaDevice(const CudaDevice &) = delete;
  CudaDevice &operator=(const CudaDevice &) = delete;

  std::string_view name() const override { return "cuda"; }
  std::string description() const override;
  std::optional<int> gpuNumber() const override { return ordinal; }

  Result<DeviceMemory> memory() override;
  Result<DeviceAddress> allocate(uint64_t bytes) override;
  Status free(DeviceAddress address) override;

  Result<std::byte *> allocateHost(uint64_t bytes) override;
  Status freeHost(std::byte *memory) override;
  Status send(DeviceAddress to, const std::byte *from, uint64_t bytes) override;
  Status fetch(std::byte *to, DeviceAddress from, uint64_t bytes) override;

  Status copyIn(DeviceAddress to, const void *from, uint64_t bytes) override;
  Status copyOut(void *to, DeviceAddress from, uint64_t bytes) override;
  Status copy(DeviceAddress to, DeviceAddress from, uint64_t bytes) override;
  Status fill(DeviceAddress to, uint32_t value, unsigned unit, uint64_t count) override;

  Result<DeviceModule *> loadModule(const ModuleImage &image) override;
  void unloadModule(DeviceModule *module) override;
  Result<DeviceFunction *> function(DeviceModule *module, const std::string &kernel) override;
  Status launch(DeviceFunction *function, const LaunchShape &shape, std::span<void *const> parameters) override;
  Result<bool> matmul(const MatrixProduct &product) override;
  Status synchronize() override;

  Result<bool> enterStream(void *stream) override;
  Status leaveStream() override;

  Status mark(int64_t kernel) override;
  Result<std::vector<ProfileMark>> takeMarks() override;

  bool capturesGraphs() const override { return !blocking; }
  Status beginCapture() override;
  Result<DeviceGraph *> endCapture() override;
  Status launch(DeviceGraph *graph) override;
  void destroy(DeviceGraph *graph) override;

private:
  using Names = std::set<std::string, std::less<>>;
  struct RecordedGraph : DeviceGraph {
    GraphExec exec = nullptr;
    Names kernels;
  };
  struct Mark {
    int64_t kernel;
    Event event;
  };

  Status chooseGpu();
  Status openStream();
  /// The context of a call is that of its thread.
  Status enterContext();
  /// For whatever may put something on a stream: the device's own comes after what was put on a caller's.
  Status enter();
  /// What went wrong with `doing`, or with a kernel before it.
  Status check(Code code, std::string_view doing);
  /// As check, for something done with so many bytes: the sentence is only made where it is needed.
  Status checkBytes(Code code, uint64_t bytes, std::string_view doing);
  /// Notes that a kernel was put on the stream.
  void began(const std::string &kernel);
  /// Notes that nothing is on the stream any more.
  void idle();

  DriverApi driver;
  Gpu gpu;
  DeviceOrdinal ordinal = 0;
  Context context = nullptr;
  /// The device's own, and the one in use: that, or a caller's.
  Stream own = nullptr, stream = nullptr;
  /// Whether something may be on the own one that nobody waited for.
  bool ownBusy = false;
  /// After the last call on a caller's stream, and whether the own one is not behind it yet.
  Event given = nullptr;
  bool givenPending = false;
  Stream lastGiven = nullptr;
  /// On the own stream, for a caller's to wait for.
  Event ownDone = nullptr;
  /// Whether the stream in use is recorded by the caller.
  bool recordedByCaller = false;
  bool blocking = false;
  Staging staging{driver, own};
  std::unique_ptr<CublasLt> products;
  bool productsOpened = false;
  std::vector<std::unique_ptr<LoadedModule>> modules;
  std::vector<std::unique_ptr<RecordedGraph>> graphs;
  std::unique_ptr<RecordedGraph> capturing;
  /// Kernels put on the stream since it was last known to be empty, one by one and with graphs.
  Names running;
  std::set<const RecordedGraph *> runningGraphs;
  std::vector<Mark> marks;
  std::vector<Event> spareEvents;
};

} // namespace peer::runtime::cuda
