// Threads that compute, one on each processor.
#pragma once

#include <optional>

namespace peer::runtime {

/// What somebody else said of where threads run, by a variable of OpenMP's or PEER_PIN (0 or 1).
enum class PinChoice { None, No, Yes, OpenMP };
PinChoice pinChoice();

/// Whether `threads` threads are put on the `processors` that this process may use, of which control groups leave a `quota`. Only where there is one
/// for each: then there is nothing to choose, and a second process that does the same puts one thread more on each. `isOwned`: see ownThreads().
bool pinsThreads(PinChoice choice, bool isOwned, int threads, int processors, std::optional<double> quota);

/// Says that the process is ours, so that its threads may be pinned where nobody asked for it.
void ownThreads();

/// Puts OpenMP's threads on processors where pinsThreads() says so, once in a process, and keeps them there, but for the calling one.
void pinThreads();

} // namespace peer::runtime
