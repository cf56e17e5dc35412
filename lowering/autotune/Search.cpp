//===- Search.cpp - which values of tuning parameters are faster ---------===//

#include "Search.h"

#include <algorithm>

namespace peer {

/// In the median, and of a whole call: less than machines differ from one minute to the next.
static constexpr double kLeastGain = 0.02, kLeastGainOfCall = 0.005;
/// Values of one kernel's parameters depend on each other; more often they have never moved.
static constexpr int kMostSweeps = 3;

double quantile(std::vector<double> values, double share) {
  if (values.empty())
    return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(share * double(values.size() - 1) + 0.5)];
}

Verdict compareTimes(const std::vector<double> &first, const std::vector<double> &second) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(first.size(), second.size()); ++i)
    if (first[i] > 0)
      ratios.push_back(second[i] / first[i]);
  if (ratios.empty())
    return {};
  double ratio = quantile(ratios, 0.5);
  return {ratio, ratio <= 1 - kLeastGain && quantile(ratios, 0.75) < 1};
}

namespace {
class Search {
public:
  Search(const SearchOptions &options, const Measure &measure)
      : options(options), measure(measure), isStale(options.parameters.size(), true) {}

  std::optional<SearchResult> run();

private:
  bool tryParameter(size_t number);
  std::optional<int64_t> bestOf(const TuningParameter &parameter, size_t number, const std::vector<int64_t> &others);
  bool confirm();
  void choose(const TuningParameter &parameter, int64_t value);
  Tried &recordOf(const TuningParameter &parameter);
  bool isLate() const { return options.now() >= options.deadline; }

  const SearchOptions &options;
  const Measure &measure;
  SearchResult result;
  /// Whether a parameter was not tried since another one of its kernels moved.
  std::vector<bool> isStale;
  bool hasFailed = false;
};
} // namespace

Tried &Search::recordOf(const TuningParameter &parameter) {
  for (Tried &each : result.tried)
    if (each.name == parameter.name)
      return each;
  return result.tried.emplace_back(Tried{std::string(parameter.name), parameter.value, parameter.value, 1});
}

void Search::choose(const TuningParameter &parameter, int64_t value) {
  if (value == parameter.value)
    result.values.erase(std::string(parameter.name));
  else
    result.values.insert_or_assign(std::string(parameter.name), value);
  recordOf(parameter).chosen = value;
}

static bool shareKernel(const TuningParameter &one, const TuningParameter &other) {
  return std::any_of(one.kernels.begin(), one.kernels.end(), [&](std::string_view kernel) {
    return !kernel.empty() && std::find(other.kernels.begin(), other.kernels.end(), kernel) != other.kernels.end();
  });
}

/// Of values beside the one chosen so far the fastest that is faster, or none.
std::optional<int64_t> Search::bestOf(const TuningParameter &parameter, size_t number,
                                      const std::vector<int64_t> &others) {
  if (others.empty())
    return std::nullopt;
  if (isLate()) {
    result.isComplete = false;
    return std::nullopt;
  }
  if (options.progress)
    options.progress(parameter, number);
  std::vector<TuningValues> candidates{result.values};
  for (int64_t value : others) {
    candidates.push_back(result.values);
    candidates.back().insert_or_assign(std::string(parameter.name), value);
  }
  auto times = measure(candidates, &parameter);
  if (!times) {
    hasFailed = true;
    return std::nullopt;
  }
  std::optional<int64_t> best;
  double least = 1;
  for (size_t i = 0; i < others.size(); ++i) {
    Verdict verdict = compareTimes((*times)[0].kernels, (*times)[i + 1].kernels);
    if (verdict.isFaster && verdict.ratio < least) {
      least = verdict.ratio;
      best = others[i];
    }
  }
  recordOf(parameter).ratio *= least;
  return best;
}

/// From the value so far to its neighbours, and on where that helped. True where it moved.
bool Search::tryParameter(size_t number) {
  const TuningParameter &parameter = *options.parameters[number];
  isStale[number] = false;
  const auto &tried = parameter.tried;
  int count = int(std::find(tried.begin(), tried.end(), 0) - tried.begin());
  int at = int(std::find(tried.begin(), tried.end(), valueOf(result.values, parameter)) - tried.begin()), from = at;
  for (int direction = 0;;) {
    std::vector<int64_t> others;
    for (int step : {-1, 1})
      if ((direction == 0 || step == direction) && at + step >= 0 && at + step < count)
        others.push_back(tried[size_t(at + step)]);
    std::optional<int64_t> best = bestOf(parameter, number, others);
    if (!best)
      break;
    int next = int(std::find(tried.begin(), tried.end(), *best) - tried.begin());
    direction = next - at;
    at = next;
    choose(parameter, *best);
  }
  return at != from;
}

/// Parts that are faster one by one may be no faster together, and what was chosen among many was so by some luck: measured anew.
bool Search::confirm() {
  auto times = measure({TuningValues(), result.values}, nullptr);
  if (!times)
    return false;
  result.ratio = compareTimes((*times)[0].calls, (*times)[1].calls).ratio;
  if (result.ratio <= 1 - kLeastGainOfCall)
    return true;
  result.isRefuted = true;
  result.values.clear();
  for (Tried &each : result.tried)
    each.chosen = each.before;
  return true;
}

std::optional<SearchResult> Search::run() {
  for (int sweep = 0; sweep < kMostSweeps; ++sweep)
    for (size_t number = 0; number < options.parameters.size(); ++number) {
      if (!isStale[number])
        continue;
      bool hasMoved = tryParameter(number);
      if (hasFailed)
        return std::nullopt;
      for (size_t other = 0; hasMoved && other < options.parameters.size(); ++other)
        if (other != number && shareKernel(*options.parameters[number], *options.parameters[other]))
          isStale[other] = true;
    }
  if (!result.values.empty() && !confirm())
    return std::nullopt;
  return std::move(result);
}

std::optional<SearchResult> searchTuning(const SearchOptions &options, const Measure &measure) {
  return Search(options, measure).run();
}

} // namespace peer
