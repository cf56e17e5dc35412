#include "SimLibrary.h"

#include <dlfcn.h>

namespace peer::runtime {

namespace {
constexpr const char *kLibrary = "libpeer_sim.so", *kSymbol = "peer_make_sim_device";

using Maker = GpuDevice *();

/// The library stays open: code of its devices may run as long as the process does.
Result<Maker *> findMaker() {
  void *library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return Status::error("the simulator cannot be opened: ", dlerror());
  auto maker = reinterpret_cast<Maker *>(dlsym(library, kSymbol));
  if (!maker)
    return Status::error("the simulator cannot be opened: ", kLibrary, " has no ", kSymbol);
  return maker;
}
} // namespace

Result<std::shared_ptr<GpuDevice>> openSimDevice(const std::string &) {
  PEER_TRY_ASSIGN(Maker * maker, findMaker());
  return std::shared_ptr<GpuDevice>(maker());
}

} // namespace peer::runtime
