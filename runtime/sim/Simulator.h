// A simulated GPU: executes PTX text on the CPU and reports what kernels do wrong.
#pragma once

#include "core/Status.h"
#include "sim/exec/Launch.h"
#include "sim/exec/Workers.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace peer::runtime::sim {

/// What a launch did.
struct LaunchResult {
  /// Empty for a kernel that did nothing wrong, as far as this launch shows.
  std::vector<Fault> faults;
  /// Instructions times the lanes that executed them.
  uint64_t laneOperations = 0;
  uint64_t warpInstructions = 0;
  double seconds = 0;

  double laneOperationsPerSecond() const { return seconds > 0 ? static_cast<double>(laneOperations) / seconds : 0; }
};

/// A loaded module. Its variables live in the simulator's memory.
class LoadedModule {
public:
  /// The address of a .global or .const variable, 0 if there is none of that name.
  uint64_t variable(std::string_view name) const;
  std::vector<std::string> kernels() const;
  /// Bytes of the parameters that a kernel takes, each aligned as declared; the error says that there is no such kernel.
  Result<uint32_t> parameterBytes(std::string_view kernel) const;
  /// Offset and size of each parameter.
  Result<std::vector<Program::Parameter>> parameters(std::string_view kernel) const;

private:
  friend class Simulator;
  const Program *find(std::string_view kernel) const;

  Module module;
  std::vector<uint64_t> addresses;
  std::vector<Program> programs;
};

/// Not safe for use from several threads at once.
class Simulator {
public:
  /// Parses and decodes every kernel of a PTX text. An instruction that is not known is an error that names it and its line.
  Result<const LoadedModule *> load(std::string_view ptx);
  void unload(const LoadedModule *module);

  /// Runs a kernel to its end. `parameters` is the block of parameters, `sharedBytes` what the launch adds to declared shared memory.
  /// An error means that the kernel was not started; faults of a kernel that was are in the result.
  Result<LaunchResult> launch(const LoadedModule &module, std::string_view kernel, Dim3 grid, Dim3 block,
                              uint32_t sharedBytes, std::span<const uint8_t> parameters,
                              const LaunchOptions &options = {});

  Memory &memory() { return deviceMemory; }

private:
  Memory deviceMemory;
  std::vector<std::unique_ptr<LoadedModule>> modules;
  uint64_t launches = 0;
  Workers workers;
};

/// Puts parameters one behind the other, each aligned to its size.
class Parameters {
public:
  template <typename T>
  Parameters &add(const T &value) {
    bytes.resize((bytes.size() + alignof(T) - 1) / alignof(T) * alignof(T));
    const auto *from = reinterpret_cast<const uint8_t *>(&value);
    bytes.insert(bytes.end(), from, from + sizeof(T));
    return *this;
  }
  std::span<const uint8_t> span() const { return bytes; }

private:
  std::vector<uint8_t> bytes;
};

} // namespace peer::runtime::sim
