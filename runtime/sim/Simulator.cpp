#include "Simulator.h"

#include "sim/exec/Block.h"
#include "sim/ptx/Decode.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

namespace peer::runtime::sim {

namespace {
/// Shared memory that a block can have on the largest GPUs that PTX is made for.
constexpr uint64_t kMaxShared = 227 * 1024;
constexpr uint64_t kMaxThreads = 1024;

/// Puts the module's variables into memory.
Status placeVariables(const Module &module, Memory &memory, std::vector<uint64_t> &addresses) {
  addresses.assign(module.variables.size(), 0);
  auto placed = [](const Variable &v) { return (v.space == Space::Global || v.space == Space::Const) && !v.external; };
  for (size_t i = 0; i < module.variables.size(); ++i) {
    const Variable &variable = module.variables[i];
    if (!placed(variable))
      continue;
    PEER_TRY_ASSIGN(addresses[i], memory.allocate(variable.bytes, variable.name));
    memory.find(addresses[i])->constant = variable.space == Space::Const;
    // What has no initial value is zero.
    PEER_TRY(memory.fill(addresses[i], 0, 1, variable.bytes));
    PEER_TRY(memory.copyIn(addresses[i], variable.initial.data(), variable.initial.size()));
  }
  for (size_t i = 0; i < module.variables.size(); ++i)
    for (const Relocation &relocation : module.variables[i].relocations) {
      const Variable &target = module.variables[relocation.variable];
      if (!placed(target))
        return Status::error("PTX line ", module.variables[i].line, ": the address of '", target.name,
                             "' is not known");
      uint64_t value = addresses[relocation.variable] + static_cast<uint64_t>(relocation.addend);
      PEER_TRY(memory.copyIn(addresses[i] + relocation.offset, &value, sizeof value));
    }
  return {};
}
} // namespace

const Program *LoadedModule::find(std::string_view kernel) const {
  for (const Program &program : programs)
    if (program.name == kernel)
      return &program;
  return nullptr;
}

uint64_t LoadedModule::variable(std::string_view name) const {
  for (size_t i = 0; i < module.variables.size(); ++i)
    if (module.variables[i].name == name && addresses[i])
      return addresses[i];
  return 0;
}

std::vector<std::string> LoadedModule::kernels() const {
  std::vector<std::string> names;
  for (const Program &program : programs)
    names.push_back(program.name);
  return names;
}

Result<uint32_t> LoadedModule::parameterBytes(std::string_view kernel) const {
  if (const Program *program = find(kernel))
    return program->parameterBytes;
  return Status::error("no kernel '", kernel, "' in the module");
}

Result<std::vector<Program::Parameter>> LoadedModule::parameters(std::string_view kernel) const {
  if (const Program *program = find(kernel))
    return program->parameters;
  return Status::error("no kernel '", kernel, "' in the module");
}

Result<const LoadedModule *> Simulator::load(std::string_view ptx) {
  auto loaded = std::make_unique<LoadedModule>();
  PEER_TRY_ASSIGN(loaded->module, parse(ptx));
  // Decoding needs the addresses; where it fails they are given back.
  Status status = placeVariables(loaded->module, deviceMemory, loaded->addresses);
  for (const Function &function : loaded->module.functions) {
    if (!status.ok() || !function.entry || !function.defined)
      continue;
    Result<Program> program = Decoder(loaded->module, loaded->addresses).run(function);
    if (program.ok())
      loaded->programs.push_back(std::move(program).value());
    else
      status = program.status();
  }
  modules.push_back(std::move(loaded));
  const LoadedModule *result = modules.back().get();
  if (!status.ok()) {
    unload(result);
    return status;
  }
  return result;
}

void Simulator::unload(const LoadedModule *module) {
  auto found = std::find_if(modules.begin(), modules.end(), [&](const auto &each) { return each.get() == module; });
  if (found == modules.end())
    return;
  for (uint64_t address : module->addresses)
    if (address)
      (void)deviceMemory.free(address);
  modules.erase(found);
}

Result<LaunchResult> Simulator::launch(const LoadedModule &module, std::string_view kernel, Dim3 grid, Dim3 block,
                                       uint32_t sharedBytes, std::span<const uint8_t> parameters,
                                       const LaunchOptions &options) {
  const Program *program = module.find(kernel);
  if (!program)
    return Status::error("no kernel '", kernel, "' in the module");
  uint64_t threads = block.count(), blocks = grid.count();
  if (threads == 0 || threads > kMaxThreads || blocks == 0 || blocks > (1u << 31))
    return Status::error("kernel '", kernel, "': ", blocks, " blocks of ", threads, " threads; a block has 1 to ",
                         kMaxThreads, " threads");
  uint64_t allowed = uint64_t{program->maxThreads[0]} * program->maxThreads[1] * program->maxThreads[2];
  if (allowed && threads > allowed)
    return Status::error("kernel '", kernel, "' is made for ", allowed, " threads in a block, got ", threads);
  const auto &required = program->requiredThreads;
  if (required[0] && (required[0] != block.x || required[1] != block.y || required[2] != block.z))
    return Status::error("kernel '", kernel, "' requires blocks of ", required[0], " x ", required[1], " x ",
                         required[2], " threads");
  uint64_t shared = uint64_t{program->sharedBytes} + sharedBytes;
  if (shared > kMaxShared)
    return Status::error("kernel '", kernel, "': ", shared, " bytes of shared memory, there are ", kMaxShared);
  if (parameters.size() < program->parameterBytes)
    return Status::error("kernel '", kernel, "' takes ", program->parameterBytes, " bytes of parameters, got ",
                         parameters.size());

  FaultList faults(options.faultLimit);
  Launch launch{*program,
                deviceMemory,
                faults,
                options,
                grid,
                block,
                static_cast<uint32_t>(shared),
                parameters.first(program->parameterBytes),
                ++launches};
  unsigned count = options.threads ? options.threads : std::max(1u, std::thread::hardware_concurrency());
  count = static_cast<unsigned>(std::min<uint64_t>(count, blocks));
  std::atomic<uint64_t> next{0}, laneOperations{0}, warpInstructions{0};
  auto work = [&](Scratch &scratch) {
    uint64_t number = next++;
    // Others were faster.
    if (number >= blocks)
      return;
    BlockRun run(launch, scratch);
    for (; number < blocks && !launch.stop; number = next++)
      run.run(number);
    laneOperations += run.laneOperations();
    warpInstructions += run.warpInstructions();
  };
  auto start = std::chrono::steady_clock::now();
  workers.run(count, work);
  LaunchResult result;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  result.faults = faults.take();
  result.laneOperations = laneOperations;
  result.warpInstructions = warpInstructions;
  return result;
}

} // namespace peer::runtime::sim
