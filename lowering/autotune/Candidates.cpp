//===- Candidates.cpp - code with other values, compiled and timed -------===//

#include "Candidates.h"

#include "artifact/format.h"
#include "dialect/Names.h"
#include "dialect/Nearest.h"
#include "lowering/host/Messages.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/xxhash.h"

#include <algorithm>

using namespace mlir;
namespace key = peer::format::key;

namespace peer {

/// Of a call: what takes less cannot gain what machines differ by from one minute to the next.
static constexpr double kLeastShare = 0.02;
/// Seconds that one comparison may take, and calls of each candidate in it.
static constexpr double kSecondsOfTurns = 3;
static constexpr double kFewestRounds = 9, kMostRounds = 61;

Candidates::Candidates(CompileOptions given, DialectRegistry &registry)
    : options(std::move(given)), registry(registry) {
  options.stage = Stage::Artifact;
  options.explain = Explain::No;
  options.noDescription = true;
}

/// Of the shared object alone: manifests say with which values it was made.
static llvm::Expected<uint64_t> hashCode(TemporaryFile &file) {
  auto bytes = file.read();
  if (!bytes)
    return bytes.takeError();
  const char *footer = bytes->data() + bytes->size() - format::kFooterBytes;
  return llvm::xxh3_64bits(
      StringRef(*bytes).take_front(llvm::support::endian::read64le(footer + format::kObjectBytesAt)));
}

FailureOr<const Candidates::Compiled *> Candidates::compile(const TuningValues &values) {
  std::unique_ptr<Compiled> &kept = compiled[values];
  if (kept)
    return kept.get();
  auto made = std::make_unique<Compiled>();
  if (llvm::Error error = made->file.create("peer"))
    return failWith(std::move(error));
  CompileOptions one = options;
  one.output = made->file.path().str();
  one.tuning = values;
  if (failed(compileModel(one, registry)))
    return failure();
  auto code = hashCode(made->file);
  if (!code)
    return failWith(code.takeError());
  made->code = *code;
  kept = std::move(made);
  return kept.get();
}

LogicalResult Candidates::chooseEntry(const std::string &wanted) {
  llvm::json::Object manifest;
  options.manifest = &manifest;
  auto whole = compile({});
  options.manifest = nullptr;
  compiled.clear();
  if (failed(whole))
    return failure();
  SmallVector<StringRef> names;
  for (const llvm::json::Value &entry : *manifest.getArray(key::kEntries)) {
    StringRef name = *entry.getAsObject()->getString(key::kName);
    if (wanted.empty() && *entry.getAsObject()->getString(key::kKind) == format::kind::kTrain)
      options.onlyEntry = name.str();
    names.push_back(name);
  }
  if (!wanted.empty()) {
    if (!llvm::is_contained(names, wanted))
      return failWith("--autotune-entry: " + options.input + " has no function " + quote(wanted) +
                      " (it has: " + listNames(names) + ")" + didYouMean(wanted, names));
    options.onlyEntry = wanted;
  }
  if (options.onlyEntry.empty())
    options.onlyEntry = names.front().str();
  return success();
}

LogicalResult Candidates::start(const std::string &wanted, int64_t tokens) {
  if (failed(chooseEntry(wanted)))
    return failure();
  auto base = compile({});
  if (failed(base))
    return failure();
  if (llvm::Error error = bench.start((*base)->file.path(), entry(), tokens))
    return failWith(std::move(error));
  auto times = bench.compare({}, 5);
  if (!times)
    return failWith(times.takeError());
  callUs = quantile(times->front().calls, 0.5);
  for (const auto &kernel : times->front().kernels)
    kernelUs[kernel.first()] = quantile(kernel.second, 0.5);
  return success();
}

std::vector<const TuningParameter *> Candidates::worthTrying() const {
  auto shareOf = [&](const TuningParameter *parameter) {
    double us = 0;
    for (std::string_view kernel : parameter->kernels)
      us += kernelUs.lookup(StringRef(kernel));
    return us / callUs;
  };
  std::vector<const TuningParameter *> worth;
  llvm::copy_if(kTuningParameters, std::back_inserter(worth),
                [&](const TuningParameter *parameter) { return shareOf(parameter) >= kLeastShare; });
  llvm::stable_sort(worth, [&](auto *one, auto *other) { return shareOf(one) > shareOf(other); });
  return worth;
}

std::optional<std::vector<TurnTimes>> Candidates::measure(ArrayRef<TuningValues> values, const TuningParameter *about) {
  // What the process has begun with, the code as it is, comes first in its answers. Code that others have, too, is not measured again.
  auto base = compile({});
  if (failed(base))
    return std::nullopt;
  std::vector<uint64_t> measured{(*base)->code};
  std::vector<std::string> paths;
  std::vector<size_t> places;
  for (const TuningValues &each : values) {
    auto candidate = compile(each);
    if (failed(candidate))
      return std::nullopt;
    auto found = llvm::find(measured, (*candidate)->code);
    places.push_back(size_t(found - measured.begin()));
    if (found != measured.end())
      continue;
    measured.push_back((*candidate)->code);
    paths.push_back((*candidate)->file.path().str());
  }
  double rounds = 1;
  if (llvm::any_of(places, [&](size_t place) { return place != places.front(); }))
    rounds = std::clamp(kSecondsOfTurns * 1e6 / (callUs * double(measured.size())), kFewestRounds, kMostRounds);
  auto times = bench.compare(paths, int64_t(rounds));
  if (!times) {
    (void)failWith(times.takeError());
    return std::nullopt;
  }
  std::vector<TurnTimes> turns;
  for (size_t place : places) {
    const BenchProcess::Times &each = (*times)[place];
    TurnTimes &turn = turns.emplace_back();
    turn.calls = each.calls;
    turn.kernels.resize(each.calls.size());
    for (std::string_view kernel : about ? about->kernels : decltype(about->kernels){})
      if (auto found = each.kernels.find(StringRef(kernel)); found != each.kernels.end())
        for (auto [sum, us] : llvm::zip(turn.kernels, found->second))
          sum += us;
  }
  return turns;
}

} // namespace peer
