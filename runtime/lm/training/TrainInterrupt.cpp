// Stopping a run between two steps.

#include "TrainInterrupt.h"

#include <atomic>
#include <cstdint>
#include <ctime>

namespace peer::runtime {
namespace {

/// `timeout` sends a signal to its child and to the child's group, and a shell may pass on what the terminal sent already: the child gets it twice
/// within a moment.
constexpr int64_t kOneRequest = 250'000'000; // nanoseconds

std::atomic<int> receivedSignal{0};
std::atomic<bool> saveRequested{false}, keyboardIgnored{false};
std::atomic<int64_t> firstRequest{0};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<int64_t>::is_always_lock_free,
              "a signal handler may only touch lock-free atomics");

int64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time); // one of the calls that a handler may make
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

void remember(int signal, siginfo_t *info, void *) {
  if (signal == SIGUSR1) {
    saveRequested = true;
    return;
  }
  if (signal == SIGINT && keyboardIgnored && info->si_code == SI_KERNEL)
    return;
  int none = 0;
  receivedSignal.compare_exchange_strong(none, signal);
  if (signal != SIGINT && signal != SIGTERM)
    return;
  int64_t first = 0;
  if (firstRequest.compare_exchange_strong(first, now()) || now() - first < kOneRequest)
    return;
  // Blocked while its handler runs, it ends the process right after.
  std::signal(signal, SIG_DFL);
  raise(signal);
}

bool isIgnored(int signal) {
  struct sigaction action{};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

} // namespace

TrainInterrupt::TrainInterrupt() {
  receivedSignal = 0;
  saveRequested = false;
  firstRequest = 0;
  // A shell without job control starts `command &` with SIGINT and SIGQUIT ignored, for the sake of the keyboard alone; a
  // SIGINT that somebody sends to such a process by its number is meant for it.
  bool ofShell = isIgnored(SIGINT) && isIgnored(SIGQUIT);
  keyboardIgnored = ofShell;
  auto install = [&](int signal, const struct sigaction &action) {
    if (isIgnored(signal) && !(signal == SIGINT && ofShell))
      return;
    before.push_back({signal, {}});
    sigaction(signal, &action, &before.back().second);
  };
  struct sigaction action{};
  action.sa_sigaction = remember;
  sigemptyset(&action.sa_mask);
  // Without SA_RESTART a write of a checkpoint in progress would fail with EINTR.
  action.sa_flags = SA_RESTART | SA_SIGINFO;
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGXCPU, SIGUSR1})
    install(signal, action);
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  for (int signal : {SIGPIPE, SIGXFSZ})
    install(signal, ignore);
}

TrainInterrupt::~TrainInterrupt() {
  for (const auto &[signal, action] : before)
    sigaction(signal, &action, nullptr);
}

int TrainInterrupt::received() { return receivedSignal; }
bool TrainInterrupt::takeSaveRequest() { return saveRequested.exchange(false); }

} // namespace peer::runtime
