#include "Pinning.h"

#include "Cgroup.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <omp.h>
#include <sched.h>
#include <vector>

namespace peer::runtime {

namespace {
std::atomic<bool> owned{false};

bool isSet(const char *name) {
  const char *value = std::getenv(name);
  return value && *value;
}

/// Moves the calling thread.
void runOn(int processor) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  // Where that is forbidden the thread stays where it is.
  (void)sched_setaffinity(0, sizeof one, &one);
}
} // namespace

PinChoice pinChoice() {
  for (const char *name : {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY"})
    if (isSet(name))
      return PinChoice::OpenMP;
  if (!isSet("PEER_PIN"))
    return PinChoice::None;
  return std::strcmp(std::getenv("PEER_PIN"), "0") == 0 ? PinChoice::No : PinChoice::Yes;
}

bool pinsThreads(PinChoice choice, bool isOwned, int threads, int processors, std::optional<double> quota) {
  if (choice == PinChoice::No || choice == PinChoice::OpenMP || (choice == PinChoice::None && !isOwned))
    return false;
  return threads > 1 && threads == processors && (!quota || *quota >= processors);
}

void ownThreads() { owned = true; }

void pinThreads() {
  static std::once_flag once;
  std::call_once(once, [] {
    cpu_set_t mask;
    // More processors than the set has room for: they are left alone.
    if (sched_getaffinity(0, sizeof mask, &mask) != 0)
      return;
    int threads = omp_get_max_threads();
    if (!pinsThreads(pinChoice(), owned, threads, CPU_COUNT(&mask), Cgroups().processors()))
      return;
    std::vector<int> processors;
    for (int processor = 0; processor < CPU_SETSIZE; ++processor)
      if (CPU_ISSET(processor, &mask))
        processors.push_back(processor);
#pragma omp parallel num_threads(threads)
    runOn(processors[static_cast<size_t>(omp_get_thread_num())]);
    // This thread may leave its own: others that it starts, and processes, inherit what it may use.
    (void)sched_setaffinity(0, sizeof mask, &mask);
  });
}

} // namespace peer::runtime
