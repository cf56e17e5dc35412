// An artifact, as bytes and as a manifest that is packed as peer-opt does: it is refused with a sentence or can be shown.
#include "Harness.h"

#include "core/Hash.h"
#include "device/Devices.h"
#include "model/Artifact.h"
#include "model/Random.h"

#include <cstring>

using namespace peer::fuzz;
using namespace peer::runtime;

/// An object, a manifest and the footer of runtime/README.md.
static std::string pack(std::string_view object, std::string_view manifest) {
  std::string bytes = std::string(object).append(manifest);
  uint64_t footer[6] = {0, 1, object.size(), manifest.size(), fnv1a(bytes.data(), bytes.size()), 0};
  std::memcpy(footer, "PEERART", 8);
  return bytes.append(reinterpret_cast<const char *>(footer), sizeof footer);
}

static void check(std::string_view bytes) {
  static MemoryFile file("model");
  file.set(bytes);
  Result<Manifest> manifest = readManifest(file.path());
  runCommand({"peer-run", "inspect", file.path()});
  if (!manifest.ok())
    return;
  for (const char *device : {"", "cpu", "cuda", "sim"})
    (void)chooseDevice(*manifest, device, "model");
  // Its code is none that can be loaded: said, not tried.
  if (Artifact::open(file.path()).ok())
    finding("an artifact without code was loaded");
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view input(reinterpret_cast<const char *>(data), size);
  check(input);
  check(pack("\x7f"
             "ELF",
             input));
  return 0;
}
