// Session::run: calls on memory of the caller's. Nothing is allocated where all is well.
#include "Session.h"

#include "ArgumentChecks.h"
#include "Views.h"
#include "artifact/format.h"
#include "core/SmallBuffer.h"

#include <algorithm>
#include <cstring>
#include <functional>

namespace peer::runtime {

namespace {
constexpr size_t kNear = 24;

template <typename List, typename Filter>
Status wrongCount(const Entry &entry, std::string_view what, size_t given, const List &list, Filter filter) {
  std::string names;
  size_t count = 0;
  for (const auto &each : list)
    if (filter(each)) {
      names += concat(count++ ? ", " : "", each.name, " (", typeText(each.dtype, each.shape), ")");
    }
  return Status::error("entry \"", entry.name, "\": ", given, " ", what, given == 1 ? " was" : "s were",
                       " given, expected ", count, count ? ": " : "", names);
}

double numberAt(const void *data, DType dtype) {
  ScalarValue value{};
  std::memcpy(&value, data, dtypeSize(dtype));
  return dtype == DType::I32   ? value.i32
         : dtype == DType::I64 ? static_cast<double>(value.i64)
         : dtype == DType::F64 ? value.f64
                               : value.f32;
}

/// A call in the making.
struct Draft {
  const Entry &entry;
  const Device &device;
  const RunOptions &options;
  int64_t tokens = 0;
  SmallBuffer<Place, kNear> arguments{entry.arguments.size()}, results{entry.results.size()};

  Status takeArguments(ViewList views);
  Status takeArgument(const Argument &argument, const peer_view &view, Place &place, TokenCount &count);
  Status takeResults(ViewList views);
  Status onStream(const Expected &expected, const Place &place) const;
};

/// A call on a stream reads and writes memory of the host when it gets there, which nobody waits for.
Status Draft::onStream(const Expected &expected, const Place &place) const {
  if (!options.stream || place.onDevice || !place.data)
    return {};
  return Status::error("entry \"", entry.name, "\": ", expected.kind, " \"", expected.name,
                       "\" is in memory of the host, and a call on a stream takes memory of the GPU");
}

Status Draft::takeArgument(const Argument &argument, const peer_view &view, Place &place, TokenCount &count) {
  Expected expected{entry.name, roleName(argument.role), argument.name, argument.dtype, argument.shape};
  PEER_TRY(checkType(view, expected));
  PEER_TRY_ASSIGN(place, placeOf(view, expected, device));
  if (argument.role == Role::Input) {
    PEER_TRY(count.add(argument, {view.shape, view.rank}));
    PEER_TRY(onStream(expected, place));
  }
  if (!argument.range || options.trusted)
    return {};
  if (place.onDevice)
    return Status::error("entry \"", entry.name, "\": ", expected.kind, " \"", argument.name, "\" must lie in [",
                         (*argument.range)[0], ", ", (*argument.range)[1],
                         "), which is not looked at in memory of the GPU: PEER_TRUST_INPUTS says that it does");
  size_t elements = 1;
  for (size_t i = 0; i < view.rank; ++i)
    elements *= static_cast<size_t>(view.shape[i]);
  return checkRange(entry, argument, view.data, elements);
}

Status Draft::takeArguments(ViewList views) {
  auto wanted = static_cast<size_t>(std::ranges::count_if(entry.arguments, &Argument::isGiven));
  if (views.count != wanted)
    return wrongCount(entry, "argument", views.count, entry.arguments, std::mem_fn(&Argument::isGiven));
  TokenCount count(entry);
  const peer_view *position = nullptr;
  for (size_t i = 0, next = 0; i < arguments.size(); ++i) {
    const Argument &argument = entry.arguments[i];
    arguments[i] = {};
    if (!argument.isGiven())
      continue;
    const peer_view &view = views[next++];
    PEER_TRY(takeArgument(argument, view, arguments[i], count));
    if (argument.role == Role::Scalar && argument.name == format::name::kPosition && !arguments[i].onDevice)
      position = &view;
  }
  PEER_TRY_ASSIGN(tokens, count.get());
  return position ? checkPosition(entry, tokens, numberAt(position->data, *parseDType(position->dtype))) : Status();
}

Status Draft::takeResults(ViewList views) {
  auto isWanted = [](const ResultInfo &info) { return !info.check; };
  auto wanted = static_cast<size_t>(std::ranges::count_if(entry.results, isWanted));
  bool all = views.count == results.size();
  if (views.count != wanted && !all)
    return wrongCount(entry, "result", views.count, entry.results, isWanted);
  for (size_t i = 0, next = 0; i < results.size(); ++i) {
    const ResultInfo &info = entry.results[i];
    results[i] = {};
    if (info.check && !all)
      continue;
    const peer_view &view = views[next++];
    Expected expected{entry.name, "result", info.name, info.dtype, info.shape};
    PEER_TRY(checkType(view, expected));
    for (size_t d = 0; d < view.rank; ++d)
      if (info.shape[d] == kDynamic && view.shape[d] != tokens)
        return Status::error("entry \"", entry.name, "\": result \"", info.name, "\" is ",
                             typeText(info.dtype, {view.shape, view.shape + view.rank}), ", and T is ", tokens);
    PEER_TRY_ASSIGN(results[i], placeOf(view, expected, device));
    PEER_TRY(onStream(expected, results[i]));
  }
  return {};
}
} // namespace

bool Session::runsAtOnce(const Entry &entry) const {
  return side->runsAtOnce() && side->isReady(entry) &&
         std::ranges::none_of(entry.arguments, [](const Argument &argument) { return argument.updated; });
}

Status Session::run(const Entry &entry, ViewList arguments, ViewList results, const RunOptions &options) {
  PEER_TRY(checkSizes(arguments.first, arguments.count, "arguments"));
  PEER_TRY(checkSizes(results.first, results.count, "results"));
  if (options.stream && !where->gpuNumber())
    return Status::error("entry \"", entry.name, "\": a stream was given, and the device ", where->name(), " has none");
  Draft draft{entry, *where, options};
  PEER_TRY(draft.takeArguments(arguments));
  PEER_TRY(draft.takeResults(results));
  if (!side->isReady(entry))
    PEER_TRY(makeReady(entry));
  else if (!deviceFailure.ok())
    return std::exchange(deviceFailure, Status());
  // Who gives a stream looks at what was counted when it is there.
  SmallBuffer<float, kNear> counts(entry.results.size());
  for (size_t i = 0; i < counts.size(); ++i) {
    counts[i] = 0;
    if (Place &place = draft.results[i]; entry.results[i].check && !place.data && !options.stream)
      place.data = &counts[i];
  }
  PEER_TRY(side->run({entry, draft.tokens, draft.arguments.all(), draft.results.all(), options.stream}));
  for (size_t i = 0; i < counts.size(); ++i)
    if (counts[i] != 0)
      return checkIndices(entry, path(), entry.results[i], counts[i]);
  return {};
}

} // namespace peer::runtime
