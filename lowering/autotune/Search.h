//===- Search.h - which values of tuning parameters are faster -----------===//
//
// Coordinate descent over the values that parameters say are worth trying. What is measured, by whom and by which clock is the caller's: the
// standard library alone, so that tests bring their own.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_AUTOTUNE_SEARCH_H
#define PEER_LOWERING_AUTOTUNE_SEARCH_H

#include "lowering/tuning/Parameters.h"

#include <functional>
#include <optional>
#include <vector>

namespace peer {

/// Times of one candidate, a number for each round in microseconds. In a round each candidate is called once, one right after the other.
struct TurnTimes {
  std::vector<double> calls;
  /// Of the kernels of the parameter in question.
  std::vector<double> kernels;
};

/// The value that a share of all lies below; 0 of none.
double quantile(std::vector<double> values, double share);

/// What two candidates' times say.
struct Verdict {
  /// The median over rounds of the second one's time by the first one's.
  double ratio = 1;
  /// By more than chance: 2 % and more in the median, and in three rounds of four.
  bool isFaster = false;
};
Verdict compareTimes(const std::vector<double> &first, const std::vector<double> &second);

struct SearchOptions {
  /// In the order in which they are tried: those that promise most come first.
  std::vector<const TuningParameter *> parameters;
  /// Seconds since whenever.
  std::function<double()> now;
  /// No measurement begins later, but for the last one, which compares what was found with what there was.
  double deadline = 0;
  /// Called before each measurement for a parameter.
  std::function<void(const TuningParameter &, size_t number)> progress;
};

/// One parameter that was tried.
struct Tried {
  std::string name;
  int64_t before = 0, chosen = 0;
  /// Time of its kernels with the value chosen by that with the one before, each as it was measured when it was chosen; 1 where none was better.
  double ratio = 1;
};

struct SearchResult {
  /// Only what is not a parameter's own value.
  TuningValues values;
  std::vector<Tried> tried;
  /// Time of a call with all values chosen by that with none of them, measured at the end.
  double ratio = 1;
  /// What was chosen kernel by kernel made no call faster, and was left.
  bool isRefuted = false;
  /// All that was to be tried was tried.
  bool isComplete = true;
};

/// Code with each of these values, measured in turns; nothing where that failed, which has been said then.
using Measure = std::function<std::optional<std::vector<TurnTimes>>(const std::vector<TuningValues> &candidates,
                                                                    const TuningParameter *about)>;

/// Nothing where a measurement failed.
std::optional<SearchResult> searchTuning(const SearchOptions &options, const Measure &measure);

} // namespace peer

#endif // PEER_LOWERING_AUTOTUNE_SEARCH_H
