// PTX text in the simulator: it is refused with a sentence, or its kernels run to their end or to a fault, in bounded steps.
#include "Harness.h"
#include "TokenMutator.h"

#include "sim/Simulator.h"

#include <cstring>

using namespace peer::fuzz;
using namespace peer::runtime;
using namespace peer::runtime::sim;

/// Parameters of 8 bytes are addresses of buffers, others small numbers.
static std::vector<uint8_t> parametersOf(Simulator &simulator, const LoadedModule &module, const std::string &kernel) {
  std::vector<uint8_t> block(*module.parameterBytes(kernel));
  const std::vector<Program::Parameter> parameters = *module.parameters(kernel);
  for (const Program::Parameter &parameter : parameters) {
    uint64_t value = 3;
    if (parameter.bytes == 8) {
      constexpr uint64_t kBytes = 4096;
      Result<uint64_t> buffer = simulator.memory().allocate(kBytes, "buffer");
      if (!buffer.ok())
        finding("no memory for a buffer");
      // Half of it is never written.
      (void)simulator.memory().fill(*buffer, 0x3f800000, 4, kBytes / 8);
      value = *buffer;
    }
    std::memcpy(block.data() + parameter.offset, &value, std::min<size_t>(parameter.bytes, sizeof value));
  }
  return block;
}

extern "C" int LLVMFuzzerInitialize(int *argc, char ***argv) {
  learnTokens(*argc, *argv);
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
  return mutateTokens(data, size, most, seed);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Simulator simulator;
  simulator.memory().setLimit(uint64_t{256} << 20);
  Result<const LoadedModule *> module = simulator.load({reinterpret_cast<const char *>(data), size});
  if (!module.ok()) {
    if (module.message().empty())
      finding("refused without a sentence");
    return 0;
  }
  LaunchOptions options;
  options.threads = 1;
  options.instructionLimit = 3000;
  for (const std::string &kernel : (*module)->kernels()) {
    std::vector<uint8_t> parameters = parametersOf(simulator, **module, kernel);
    for (Dim3 block : {Dim3{32}, Dim3{128}, Dim3{8, 4, 2}}) {
      auto result = simulator.launch(**module, kernel, {2}, block, 1024, parameters, options);
      if (!result.ok() && result.message().empty())
        finding("not launched, without a sentence");
      for (const Fault &fault : result.ok() ? result->faults : std::vector<Fault>())
        if (fault.text().empty())
          finding("a fault without a sentence");
    }
  }
  return 0;
}
