#include "Threads.h"

#include "Cgroup.h"
#include "Memory.h"
#include "Tensor.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <malloc.h>
#include <mutex>
#include <omp.h>
#include <pthread.h>
#include <vector>

namespace peer::runtime {

namespace {
constexpr const char *kVariable = "OMP_NUM_THREADS";

/// What OMP_NUM_THREADS said when it was first asked for. OpenMP's runtime takes whatever is in memory for the number where the variable is
/// empty or none, so it never sees such a value.
const Result<int> &environmentThreads() {
  static const Result<int> count = [] {
    const char *value = std::getenv(kVariable);
    Result<int> parsed = value ? parseThreadCount(value) : Result<int>(0);
    if (value && (!parsed.ok() || *parsed == 0))
      unsetenv(kVariable);
    return parsed;
  }();
  return count;
}

bool chosen = false; // by setThreads
std::atomic<int> checkedThreads = 1;
std::mutex checking;

void *waitAtGate(void *gate) {
  std::lock_guard lock(*static_cast<std::mutex *>(gate));
  return nullptr;
}

/// Starts `count` threads at once, as OpenMP would, and ends them. OpenMP itself ends the process where it cannot start one.
Status tryThreads(int count) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, std::max<size_t>(kmp_get_stacksize_s(), PTHREAD_STACK_MIN));
  std::vector<pthread_t> threads;
  int failure = 0;
  std::mutex gate;
  {
    std::lock_guard closed(gate);
    for (pthread_t thread; static_cast<int>(threads.size()) < count && failure == 0;)
      if ((failure = pthread_create(&thread, &attributes, waitAtGate, &gate)) == 0)
        threads.push_back(thread);
  }
  for (pthread_t thread : threads)
    pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  if (failure == 0)
    return {};
  return Status::error("cannot compute with ", count + 1, " threads: the system starts only ", threads.size() + 1, " (",
                       std::strerror(failure),
                       "; limits on processes, addresses or memory): give fewer with --threads or ", kVariable);
}
} // namespace

Result<int> parseThreadCount(const std::string &value) {
  auto nonsense = [&] {
    return Status::error(kVariable, " is \"", value, "\", expected a whole number of threads from 1 to ", kMostThreads);
  };
  constexpr std::string_view blank = " \t\n";
  if (value.find_first_not_of(blank) == std::string::npos)
    return 0;
  int first = 0;
  // A number for each level of nested regions.
  for (size_t begin = 0; begin <= value.size();) {
    size_t comma = std::min(value.find(',', begin), value.size());
    std::string item = value.substr(begin, comma - begin);
    item.erase(0, std::min(item.find_first_not_of(blank), item.size()));
    item.erase(item.find_last_not_of(blank) + 1);
    if (item.empty() || item.size() > 5 || item.find_first_not_of("0123456789") != std::string::npos)
      return nonsense();
    int count = std::atoi(item.c_str());
    if (count < 1 || count > kMostThreads)
      return nonsense();
    if (first == 0)
      first = count;
    begin = comma + 1;
  }
  return first;
}

void setThreads(int count) {
  (void)environmentThreads();
  omp_set_num_threads(count);
  chosen = true;
}

ThreadScope::ThreadScope(int count) {
  if (count == 0)
    return;
  if (count < 1 || count > kMostThreads) {
    status = Status::error("the number of threads is ", count, ", expected 1 to ", kMostThreads);
    return;
  }
  before = omp_get_max_threads();
  omp_set_num_threads(count);
  if (count > checkedThreads.load(std::memory_order_relaxed))
    status = checkThreads();
}

ThreadScope::~ThreadScope() {
  if (before > 0)
    omp_set_num_threads(before);
}

Status checkThreads() {
  std::lock_guard lock(checking);
  const Result<int> &given = environmentThreads();
  if (!chosen) {
    if (!given.ok())
      return given.status();
    if (*given == 0)
      if (std::optional<double> share = Cgroups().processors(); share && *share < omp_get_max_threads())
        // More threads than there is time for stop together until the next period; a part of a processor is one.
        omp_set_num_threads(std::max(1, static_cast<int>(std::ceil(*share))));
    chosen = true;
  }
  int count = omp_get_max_threads();
  if (count <= checkedThreads)
    return {};
  // Threads that wait for others take turns with them where there are more than processors: they should sleep, not spin.
  if (count > omp_get_num_procs())
    kmp_set_blocktime(0);
  // Each arena of the C library takes 64 MB of addresses and more.
  if (availableAddresses() != std::numeric_limits<uint64_t>::max())
    mallopt(M_ARENA_MAX, 2);
  PEER_TRY(tryThreads(count - 1));
  checkedThreads = count;
  return {};
}

} // namespace peer::runtime
