// The device `sim`: executes kernels on the CPU and turns what they do wrong into errors.
#include "device/gpu/GpuDevice.h"

#include "Simulator.h"
#include "core/Memory.h"
#include "core/Tensor.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <omp.h>

namespace peer::runtime {

namespace {
constexpr size_t kHostAlign = 256;

/// A kernel by name; how its parameters lie was read once.
struct SimFunction : DeviceFunction {
  SimFunction(const sim::LoadedModule *module, std::string name, std::vector<sim::Program::Parameter> parameters,
              uint32_t parameterBytes)
      : module(module), name(std::move(name)), parameters(std::move(parameters)), parameterBytes(parameterBytes) {}
  const sim::LoadedModule *module;
  std::string name;
  std::vector<sim::Program::Parameter> parameters;
  uint32_t parameterBytes;
};

struct SimModule : DeviceModule {
  explicit SimModule(const sim::LoadedModule *module) : module(module) {}
  const sim::LoadedModule *module;
  std::map<std::string, SimFunction, std::less<>> functions;
};

/// Operations to be run again, with the parameters they had.
struct SimGraph : DeviceGraph {
  std::vector<std::function<Status()>> operations;
};

class SimDevice : public GpuDevice {
public:
  std::string_view name() const override { return "sim"; }
  std::string description() const override {
    return concat("a simulated GPU on ", omp_get_max_threads(), " CPU threads");
  }

  Result<DeviceMemory> memory() override {
    // Beside each eight bytes lies one that says which of them were written.
    uint64_t used = simulator.memory().used(), free = availableMemory() / 9 * 8;
    return DeviceMemory{used + free, free};
  }

  Result<DeviceAddress> allocate(uint64_t bytes) override {
    PEER_TRY_ASSIGN(DeviceMemory memory, this->memory());
    if (bytes > memory.free)
      return outOfDeviceMemory(bytes, memory);
    return simulator.memory().allocate(bytes);
  }
  Status free(DeviceAddress address) override { return address ? simulator.memory().free(address) : Status(); }
  Status discard(DeviceAddress address, uint64_t bytes) override {
    return perform([=, this] { return simulator.memory().forget(address, bytes); });
  }

  bool separatesBlocks() const override { return true; }

  Result<std::byte *> allocateHost(uint64_t bytes) override {
    auto *memory = static_cast<std::byte *>(std::aligned_alloc(kHostAlign, (bytes / kHostAlign + 1) * kHostAlign));
    if (!memory)
      return Status::error(bytesText(bytes), " of the host's memory cannot be allocated");
    return memory;
  }
  Status freeHost(std::byte *memory) override {
    std::free(memory);
    return {};
  }
  Status send(DeviceAddress to, const std::byte *from, uint64_t bytes) override {
    return perform([=, this] { return simulator.memory().copyIn(to, from, bytes); });
  }
  Status fetch(std::byte *to, DeviceAddress from, uint64_t bytes) override {
    return perform([=, this] { return simulator.memory().copyOut(to, from, bytes); });
  }

  Status copyIn(DeviceAddress to, const void *from, uint64_t bytes) override {
    return simulator.memory().copyIn(to, from, bytes);
  }
  Status copyOut(void *to, DeviceAddress from, uint64_t bytes) override {
    return simulator.memory().copyOut(to, from, bytes);
  }
  Status copy(DeviceAddress to, DeviceAddress from, uint64_t bytes) override {
    return perform([=, this] { return simulator.memory().copy(to, from, bytes); });
  }
  Status fill(DeviceAddress to, uint32_t value, unsigned unit, uint64_t count) override {
    return perform([=, this] { return simulator.memory().fill(to, value, unit, count); });
  }

  Result<DeviceModule *> loadModule(const ModuleImage &image) override {
    if (image.ptx.empty())
      return Status::error("the artifact holds machine code for a GPU but no PTX, which the simulator needs");
    PEER_TRY_ASSIGN(const sim::LoadedModule *module, simulator.load(image.ptx));
    modules.push_back(std::make_unique<SimModule>(module));
    return modules.back().get();
  }
  void unloadModule(DeviceModule *module) override {
    simulator.unload(static_cast<SimModule *>(module)->module);
    std::erase_if(modules, [&](const auto &each) { return each.get() == module; });
  }
  Result<DeviceFunction *> function(DeviceModule *of, const std::string &kernel) override {
    auto &[module, functions] = *static_cast<SimModule *>(of);
    if (auto found = functions.find(kernel); found != functions.end())
      return &found->second;
    PEER_TRY_ASSIGN(auto parameters, module->parameters(kernel));
    PEER_TRY_ASSIGN(uint32_t bytes, module->parameterBytes(kernel));
    return &functions.try_emplace(kernel, module, kernel, std::move(parameters), bytes).first->second;
  }

  Status launch(DeviceFunction *kernel, const LaunchShape &shape, std::span<void *const> parameters) override {
    auto &function = *static_cast<SimFunction *>(kernel);
    if (parameters.size() != function.parameters.size())
      return Status::error("kernel '", function.name, "' takes ", function.parameters.size(), " parameters, got ",
                           parameters.size());
    std::vector<uint8_t> block(function.parameterBytes);
    for (size_t i = 0; i < parameters.size(); ++i)
      std::memcpy(block.data() + function.parameters[i].offset, parameters[i], function.parameters[i].bytes);
    return perform([=, this, &function] { return execute(function, shape, block); });
  }

  Result<bool> matmul(const MatrixProduct &) override { return false; }
  Status synchronize() override { return {}; }
  Status mark(int64_t kernel) override {
    marks.push_back({kernel, nowNanoseconds()});
    return {};
  }
  Result<std::vector<ProfileMark>> takeMarks() override { return std::exchange(marks, {}); }

  bool capturesGraphs() const override { return true; }
  Status beginCapture() override {
    capturing = std::make_unique<SimGraph>();
    return {};
  }
  Result<DeviceGraph *> endCapture() override {
    graphs.push_back(std::move(capturing));
    return graphs.back().get();
  }
  Status launch(DeviceGraph *graph) override {
    for (const auto &operation : static_cast<SimGraph *>(graph)->operations)
      PEER_TRY(operation());
    return {};
  }
  void destroy(DeviceGraph *graph) override {
    std::erase_if(graphs, [&](const auto &each) { return each.get() == graph; });
  }

  DeviceActivity activity() const override { return done; }

private:
  /// Now, or with the graph that is being recorded.
  template <typename Operation>
  Status perform(Operation operation) {
    if (!capturing)
      return operation();
    capturing->operations.emplace_back(std::move(operation));
    return {};
  }

  Status execute(const SimFunction &function, const LaunchShape &shape, const std::vector<uint8_t> &parameters) {
    auto dim = [](const std::array<uint64_t, 3> &sizes) {
      return sim::Dim3{static_cast<uint32_t>(sizes[0]), static_cast<uint32_t>(sizes[1]),
                       static_cast<uint32_t>(sizes[2])};
    };
    sim::LaunchOptions options;
    options.threads = static_cast<unsigned>(omp_get_max_threads());
    PEER_TRY_ASSIGN(sim::LaunchResult result,
                    simulator.launch(*function.module, function.name, dim(shape.grid), dim(shape.block),
                                     shape.sharedBytes, parameters, options));
    done.laneOperations += result.laneOperations;
    done.seconds += result.seconds;
    if (result.faults.empty())
      return {};
    size_t more = result.faults.size() - 1;
    return Status::error(result.faults.front().text(),
                         more ? concat(" (and ", more, more == 1 ? " more fault)" : " more faults)") : "");
  }

  sim::Simulator simulator;
  std::vector<std::unique_ptr<SimModule>> modules;
  std::vector<std::unique_ptr<SimGraph>> graphs;
  std::unique_ptr<SimGraph> capturing;
  std::vector<ProfileMark> marks;
  DeviceActivity done;
};
} // namespace

} // namespace peer::runtime

/// What libpeer_runtime.so asks for; the caller owns it.
extern "C" [[gnu::visibility("default")]] peer::runtime::GpuDevice *peer_make_sim_device() {
  return new peer::runtime::SimDevice;
}
