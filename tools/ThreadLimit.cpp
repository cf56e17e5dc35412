//===- ThreadLimit.cpp - compiling where threads cannot be started -------===//

#include "ThreadLimit.h"

#include "llvm/Support/Parallel.h"
#include "llvm/Support/Threading.h"

#include <mutex>
#include <pthread.h>

using namespace llvm;

static void *waitAtGate(void *gate) {
  std::lock_guard<std::mutex> lock(*static_cast<std::mutex *>(gate));
  return nullptr;
}

/// Starts as many threads at once, and ends them.
static bool canStart(unsigned count) {
  SmallVector<pthread_t> threads;
  std::mutex gate;
  bool started = true;
  {
    std::lock_guard<std::mutex> closed(gate);
    for (pthread_t thread; started && threads.size() < count;)
      if ((started = pthread_create(&thread, nullptr, waitAtGate, &gate) == 0))
        threads.push_back(thread);
  }
  for (pthread_t thread : threads)
    pthread_join(thread, nullptr);
  return started;
}

void respectThreadLimit(SmallVectorImpl<char *> &arguments) {
  // MLIR's threads and the linker's.
  if (canStart(2 * hardware_concurrency().compute_thread_count()))
    return;
  parallel::strategy = hardware_concurrency(1);
  static char option[] = "--mlir-disable-threading";
  arguments.insert(arguments.begin() + 1, option);
}
