#include "CudaDevice.h"

#include "core/Memory.h"
#include "core/Tensor.h"

#include <algorithm>
#include <limits>

namespace peer::runtime::cuda {

namespace {
constexpr const char *kProductName = "a product of cuBLASLt";
/// More names than this say no more than how many there are.
constexpr size_t kNamesShown = 3;

std::string kernelText(const std::string &name) { return name == kProductName ? name : concat("kernel '", name, "'"); }

std::string sizesText(const std::array<uint64_t, 3> &sizes) {
  return concat(sizes[0], " x ", sizes[1], " x ", sizes[2]);
}
} // namespace

CudaDevice::~CudaDevice() {
  if (!context)
    return;
  (void)enter();
  if (own)
    (void)driver.streamSynchronize(own);
  products.reset();
  for (auto &graph : graphs)
    (void)driver.graphExecDestroy(graph->exec);
  for (auto &module : modules)
    module->unload(driver);
  for (const Mark &mark : marks)
    (void)driver.eventDestroy(mark.event);
  for (Event event : spareEvents)
    (void)driver.eventDestroy(event);
  for (Event event : {given, ownDone})
    if (event)
      (void)driver.eventDestroy(event);
  staging.release();
  if (own)
    (void)driver.streamDestroy(own);
  (void)driver.primaryCtxRelease(ordinal);
}

Status CudaDevice::enterContext() { return check(driver.ctxSetCurrent(context), "the context cannot be used"); }

Status CudaDevice::enter() {
  PEER_TRY(enterContext());
  if (stream != own)
    return {};
  ownBusy = true;
  return std::exchange(givenPending, false) ? check(driver.streamWaitEvent(own, given, 0), "a stream cannot wait")
                                            : Status();
}

Status CudaDevice::check(Code code, std::string_view doing) {
  if (code == kSuccess)
    return {};
  std::string error = errorText(driver, code);
  Names suspects = running;
  for (const RecordedGraph *graph : runningGraphs)
    suspects.insert(graph->kernels.begin(), graph->kernels.end());
  if (!isKernelFailure(code) || suspects.empty())
    return Status::error("CUDA: ", doing, ": ", error);
  if (suspects.size() == 1)
    return Status::error(kernelText(*suspects.begin()), " failed: ", error);
  std::string names;
  size_t shown = 0;
  for (const std::string &name : suspects)
    if (shown++ < kNamesShown)
      names += (names.empty() ? "" : ", ") + kernelText(name);
  if (suspects.size() > kNamesShown)
    names += concat(" and ", suspects.size() - kNamesShown, " more");
  return Status::error("one of ", suspects.size(), " kernels failed (", names,
                       "; PEER_CUDA_BLOCKING=1 tells which): ", error);
}

Status CudaDevice::checkBytes(Code code, uint64_t bytes, std::string_view doing) {
  return code == kSuccess ? Status() : check(code, concat(bytesText(bytes), " ", doing));
}

void CudaDevice::began(const std::string &kernel) {
  Names &names = capturing ? capturing->kernels : running;
  if (!names.contains(kernel))
    names.insert(kernel);
}

void CudaDevice::idle() {
  if (stream == own) {
    staging.reset();
    ownBusy = false;
  }
  running.clear();
  runningGraphs.clear();
}

Result<DeviceMemory> CudaDevice::memory() {
  PEER_TRY(enter());
  size_t free = 0, total = 0;
  PEER_TRY(check(driver.memGetInfo(&free, &total), "the memory of the GPU is not known"));
  return DeviceMemory{total, free};
}

Result<DeviceAddress> CudaDevice::allocate(uint64_t bytes) {
  BesideRecordings beside(driver);
  PEER_TRY(enter());
  Pointer pointer = 0;
  // A tensor without elements has an address, too.
  Code code = driver.memAlloc(&pointer, std::max<uint64_t>(bytes, 1));
  if (code == kOutOfMemory) {
    PEER_TRY_ASSIGN(DeviceMemory memory, this->memory());
    return outOfDeviceMemory(bytes, memory);
  }
  PEER_TRY(checkBytes(code, bytes, "cannot be allocated"));
  return pointer;
}

Status CudaDevice::free(DeviceAddress address) {
  if (!address)
    return {};
  BesideRecordings beside(driver);
  PEER_TRY(enter());
  // While a graph is recorded the stream is empty, and must not be waited for.
  if (!capturing)
    PEER_TRY(synchronize());
  return check(driver.memFree(address), "memory cannot be freed");
}

Result<std::byte *> CudaDevice::allocateHost(uint64_t bytes) {
  BesideRecordings beside(driver);
  PEER_TRY(enter());
  void *memory = nullptr;
  // Pages, which are aligned to more than anybody asks for.
  PEER_TRY(
      checkBytes(driver.memAllocHost(&memory, std::max<uint64_t>(bytes, 1)), bytes, "of the host cannot be pinned"));
  return static_cast<std::byte *>(memory);
}

Status CudaDevice::freeHost(std::byte *memory) {
  if (!memory)
    return {};
  BesideRecordings beside(driver);
  PEER_TRY(synchronize());
  return check(driver.memFreeHost(memory), "memory of the host cannot be freed");
}

Status CudaDevice::send(DeviceAddress to, const std::byte *from, uint64_t bytes) {
  PEER_TRY(enter());
  return checkBytes(driver.memcpyHtoDAsync(to, from, bytes, stream), bytes, "cannot be copied to the GPU");
}

Status CudaDevice::fetch(std::byte *to, DeviceAddress from, uint64_t bytes) {
  PEER_TRY(enter());
  return checkBytes(driver.memcpyDtoHAsync(to, from, bytes, stream), bytes, "cannot be copied from the GPU");
}

Status CudaDevice::copyIn(DeviceAddress to, const void *from, uint64_t bytes) {
  BesideRecordings beside(driver);
  PEER_TRY(enter());
  return checkBytes(staging.copyIn(to, from, bytes), bytes, "cannot be copied to the GPU");
}

Status CudaDevice::copyOut(void *to, DeviceAddress from, uint64_t bytes) {
  BesideRecordings beside(driver);
  PEER_TRY(enter());
  if (bytes == 0)
    return synchronize();
  PEER_TRY(checkBytes(staging.copyOut(to, from, bytes), bytes, "cannot be copied from the GPU"));
  idle();
  return {};
}

Status CudaDevice::copy(DeviceAddress to, DeviceAddress from, uint64_t bytes) {
  PEER_TRY(enter());
  if (bytes == 0)
    return {};
  return checkBytes(driver.memcpyDtoDAsync(to, from, bytes, stream), bytes, "cannot be copied within the GPU");
}

Status CudaDevice::fill(DeviceAddress to, uint32_t value, unsigned unit, uint64_t count) {
  PEER_TRY(enter());
  if (count == 0)
    return {};
  Code code = kInvalidValue;
  if (unit == 1)
    code = driver.memsetD8Async(to, static_cast<unsigned char>(value), count, stream);
  else if (unit == 2)
    code = driver.memsetD16Async(to, static_cast<unsigned short>(value), count, stream);
  else if (unit == 4)
    code = driver.memsetD32Async(to, value, count, stream);
  return checkBytes(code, unit * count, "cannot be filled");
}

Result<DeviceModule *> CudaDevice::loadModule(const ModuleImage &image) {
  BesideRecordings beside(driver);
  PEER_TRY(enter());
  PEER_TRY_ASSIGN(auto module, LoadedModule::load(driver, gpu, image));
  modules.push_back(std::move(module));
  return modules.back().get();
}

void CudaDevice::unloadModule(DeviceModule *module) {
  BesideRecordings beside(driver);
  (void)synchronize();
  std::erase_if(modules, [&](const auto &each) {
    bool found = each.get() == module;
    if (found)
      each->unload(driver);
    return found;
  });
}

Result<DeviceFunction *> CudaDevice::function(DeviceModule *module, const std::string &kernel) {
  PEER_TRY(enter());
  PEER_TRY_ASSIGN(LoadedFunction * found, static_cast<LoadedModule *>(module)->function(driver, kernel));
  return found;
}

Status CudaDevice::launch(DeviceFunction *handle, const LaunchShape &shape, std::span<void *const> parameters) {
  PEER_TRY(enter());
  auto &kernel = *static_cast<LoadedFunction *>(handle);
  auto failed = [&](const auto &why) {
    return Status::error("kernel '", kernel.name, "' cannot be launched with ", sizesText(shape.grid), " blocks of ",
                         sizesText(shape.block), " threads and ", shape.sharedBytes,
                         " bytes of dynamic shared memory: ", why);
  };
  if (kernel.parameters && *kernel.parameters != parameters.size())
    return failed(concat("it takes ", *kernel.parameters, " parameters, got ", parameters.size()));
  std::array<unsigned, 6> sizes{};
  for (size_t i = 0; i < 6; ++i) {
    uint64_t size = i < 3 ? shape.grid[i] : shape.block[i - 3];
    if (size == 0 || size > std::numeric_limits<unsigned>::max())
      return failed(concat(size, " is no size of a launch"));
    sizes[i] = static_cast<unsigned>(size);
  }
  PEER_TRY(allowShared(driver, gpu, kernel, shape.sharedBytes));
  Code code = driver.launchKernel(kernel.handle, sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5],
                                  shape.sharedBytes, stream, const_cast<void **>(parameters.data()), nullptr);
  // That of an earlier kernel comes up here as well as this one's own.
  if (isKernelFailure(code))
    return check(code, "launching");
  if (code != kSuccess)
    return failed(errorText(driver, code));
  began(kernel.name);
  return blocking && !recordedByCaller ? synchronize() : Status();
}

Result<bool> CudaDevice::matmul(const MatrixProduct &product) {
  BesideRecordings beside(driver);
  PEER_TRY(enter());
  if (!productsOpened) {
    PEER_TRY_ASSIGN(products, CublasLt::open(driver));
    productsOpened = true;
  }
  if (!products)
    return false;
  PEER_TRY_ASSIGN(bool done, products->matmul(product, stream));
  if (done)
    began(kProductName);
  if (blocking && !recordedByCaller)
    PEER_TRY(synchronize());
  return done;
}

Status CudaDevice::synchronize() {
  BesideRecordings beside(driver);
  PEER_TRY(enter());
  PEER_TRY(check(driver.streamSynchronize(stream), "waiting for the GPU"));
  idle();
  return {};
}

Status CudaDevice::mark(int64_t kernel) {
  PEER_TRY(enter());
  Event event = nullptr;
  if (spareEvents.empty()) {
    PEER_TRY(check(driver.eventCreate(&event, kEventDefault), "an event cannot be made"));
  } else {
    event = spareEvents.back();
    spareEvents.pop_back();
  }
  marks.push_back({kernel, event});
  return check(driver.eventRecord(event, stream), "an event cannot be recorded");
}

Result<std::vector<ProfileMark>> CudaDevice::takeMarks() {
  Status status = synchronize();
  std::vector<ProfileMark> taken;
  // Milliseconds as floats: from each to the next, so that they stay exact over long calls.
  double nanoseconds = 0;
  for (size_t i = 0; i < marks.size() && status.ok(); ++i) {
    float milliseconds = 0;
    if (i > 0)
      status = check(driver.eventElapsedTime(&milliseconds, marks[i - 1].event, marks[i].event), "reading the clock");
    nanoseconds += double{milliseconds} * 1e6;
    taken.push_back({marks[i].kernel, static_cast<int64_t>(nanoseconds)});
  }
  for (const Mark &mark : marks)
    spareEvents.push_back(mark.event);
  marks.clear();
  if (!status.ok())
    return status;
  return taken;
}

Status CudaDevice::beginCapture() {
  PEER_TRY(synchronize());
  PEER_TRY(check(driver.streamBeginCapture(stream, kCaptureRelaxed), "a graph cannot be recorded"));
  capturing = std::make_unique<RecordedGraph>();
  return {};
}

Result<DeviceGraph *> CudaDevice::endCapture() {
  PEER_TRY(enter());
  std::unique_ptr<RecordedGraph> recorded = std::move(capturing);
  Graph graph = nullptr;
  PEER_TRY(check(driver.streamEndCapture(stream, &graph), "a graph cannot be recorded"));
  Code code = driver.graphInstantiate(&recorded->exec, graph, 0);
  (void)driver.graphDestroy(graph);
  PEER_TRY(check(code, "a graph cannot be made ready"));
  graphs.push_back(std::move(recorded));
  return graphs.back().get();
}

Status CudaDevice::launch(DeviceGraph *graph) {
  PEER_TRY(enter());
  auto &recorded = *static_cast<RecordedGraph *>(graph);
  PEER_TRY(check(driver.graphLaunch(recorded.exec, stream), "a graph cannot be launched"));
  runningGraphs.insert(&recorded);
  return {};
}

void CudaDevice::destroy(DeviceGraph *graph) {
  // It may still be running; if it failed, what it launched stays under suspicion.
  (void)synchronize();
  if (auto *recorded = static_cast<RecordedGraph *>(graph); runningGraphs.erase(recorded))
    running.insert(recorded->kernels.begin(), recorded->kernels.end());
  std::erase_if(graphs, [&](const auto &each) {
    bool found = each.get() == graph;
    if (found)
      (void)driver.graphExecDestroy(each->exec);
    return found;
  });
}

} // namespace peer::runtime::cuda
