// Stopping a run between two steps.

#include "TrainInterrupt.h"

#include <atomic>

namespace peer::runtime {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM};
std::atomic<int> receivedSignal{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

void remember(int signal) {
  receivedSignal = signal;
  for (int other : kSignals)
    std::signal(other, SIG_DFL);
}

} // namespace

TrainInterrupt::TrainInterrupt() {
  receivedSignal = 0;
  struct sigaction action{};
  action.sa_handler = remember;
  sigemptyset(&action.sa_mask);
  // Without it, a write of a checkpoint in progress would fail with EINTR.
  action.sa_flags = SA_RESTART;
  for (int i = 0; i < 2; ++i)
    sigaction(kSignals[i], &action, &before[i]);
}

TrainInterrupt::~TrainInterrupt() {
  for (int i = 0; i < 2; ++i)
    sigaction(kSignals[i], &before[i], nullptr);
}

int TrainInterrupt::received() { return receivedSignal; }

} // namespace peer::runtime
