// What the kernels of training steps take.

#include "StepProfile.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace peer::runtime {
namespace {
/// Of a trace: more than that no browser shows with pleasure.
constexpr size_t kMostEvents = 100'000;

using Json = nlohmann::ordered_json;

Json eventJson(const std::string &name, const char *category, double start, double microseconds) {
  return {{"name", name}, {"cat", category}, {"ph", "X"}, {"pid", 1}, {"tid", 1}, {"ts", start}, {"dur", microseconds}};
}
} // namespace

void StepProfile::beginStep(int64_t number) {
  if (++begun == 2) {
    byName.clear();
    summed = 0;
    total = 0;
  }
  step = number;
  // A step has as many kernels as the one before: what would be cut is left out.
  size_t each = traced > 0 ? events.size() / static_cast<size_t>(traced) : 0;
  traces = traced == begun - 1 && events.size() + each <= kMostEvents;
  stepStart = nowNanoseconds();
}

void StepProfile::add(const CallTimes &call) {
  // A GPU counts from its first mark.
  int64_t shift = !call.marks.empty() && call.marks.front().nanoseconds < call.start
                      ? call.start - call.marks.front().nanoseconds
                      : 0;
  for (size_t i = 0; i < call.marks.size(); ++i) {
    int64_t index = call.marks[i].kernel;
    if (index < 0 || static_cast<size_t>(index) >= call.entry.kernels.size())
      continue;
    int64_t start = call.marks[i].nanoseconds + shift;
    int64_t end = i + 1 < call.marks.size() ? call.marks[i + 1].nanoseconds + shift : call.end;
    const KernelInfo &info = call.entry.kernels[static_cast<size_t>(index)];
    Kernel &kernel = byName[info.name];
    kernel.name = info.name;
    ++kernel.calls;
    kernel.seconds += static_cast<double>(end - start) * 1e-9;
    double bytes = info.bytesAt(call.tokens), flops = info.flopsAt(call.tokens);
    kernel.bytes += bytes;
    kernel.flops += flops;
    if (traces)
      events.push_back({*names.insert(info.name).first, step, start, end, bytes, flops});
  }
  for (size_t index = 0; index < call.entry.kernels.size(); ++index)
    if (ScoredKeys scored = scoredKeysOf(static_cast<int64_t>(index)); scored.rows > 0) {
      Kernel &kernel = byName[call.entry.kernels[index].name];
      kernel.scored += scored;
      kernel.bytes += static_cast<double>(scored.bytes);
    }
}

void StepProfile::endStep() {
  int64_t end = nowNanoseconds();
  ++summed;
  total += static_cast<double>(end - stepStart) * 1e-9;
  if (traces) {
    ++traced;
    events.push_back({{}, step, stepStart, end, 0, 0});
  }
}

std::vector<StepProfile::Kernel> StepProfile::kernels() const {
  std::vector<Kernel> list;
  for (const auto &[name, kernel] : byName)
    list.push_back(kernel);
  std::stable_sort(list.begin(), list.end(), [](const Kernel &a, const Kernel &b) { return a.seconds > b.seconds; });
  return list;
}

std::string StepProfile::traceJson(const std::string &title) const {
  Json list = Json::array({{{"name", "process_name"}, {"ph", "M"}, {"pid", 1}, {"args", {{"name", title}}}}});
  int64_t zero = INT64_MAX;
  for (const Event &event : events)
    zero = std::min(zero, event.start);
  auto microseconds = [](int64_t nanoseconds) { return static_cast<double>(nanoseconds) * 1e-3; };
  for (const Event &event : events) {
    double start = microseconds(event.start - zero), length = microseconds(event.end - event.start);
    if (event.kernel.empty()) {
      list.push_back(eventJson(concat("step ", event.step), "step", start, length));
      continue;
    }
    list.push_back(eventJson(std::string(event.kernel), "kernel", start, length));
    list.back()["args"] = {{"bytes", event.bytes}, {"flops", event.flops}};
  }
  return Json{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(list)}}.dump(-1, ' ', false,
                                                                                Json::error_handler_t::replace) +
         "\n";
}

} // namespace peer::runtime
