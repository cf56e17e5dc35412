// A safetensors file, as bytes and as a header whose length is right: it is refused with a sentence, or all of it can be
// read, written again and read with the same contents.
#include "Harness.h"

#include "model/Safetensors.h"

#include <cstring>

using namespace peer::fuzz;
using namespace peer::runtime;

static void check(std::string_view bytes) {
  static MemoryFile file("weights");
  file.set(bytes);
  Result<TensorMap> tensors = readSafetensors(file.path());
  runCommand({"peer-run", "inspect", file.path()});
  if (!tensors.ok()) {
    if (tensors.message().empty())
      finding("refused without a sentence");
    return;
  }
  static const std::string folder = scratchFolder();
  std::string again = folder + "/again.safetensors";
  if (Status status = writeSafetensors(again, *tensors); !status.ok())
    finding("what was read cannot be written: " + status.message());
  Result<TensorMap> second = readSafetensors(again);
  if (!second.ok())
    finding("what was written cannot be read: " + second.message());
  if (second->size() != tensors->size())
    finding("tensors are lost when they are written");
  for (auto a = tensors->begin(), b = second->begin(); a != tensors->end(); ++a, ++b)
    if (a->first != b->first || a->second.dtype() != b->second.dtype() || a->second.shape() != b->second.shape() ||
        std::memcmp(a->second.data(), b->second.data(), a->second.bytes()) != 0)
      finding("the tensor " + a->first + " is another one after it was written and read");
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view input(reinterpret_cast<const char *>(data), size);
  check(input);
  std::vector<std::string> parts = split(input, 2);
  check(packSafetensors(parts[0], parts[1]));
  return 0;
}
