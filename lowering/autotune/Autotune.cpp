//===- Autotune.cpp - a model compiled as this machine likes it ----------===//

#include "Autotune.h"

#include "Candidates.h"
#include "TuningCache.h"
#include "artifact/demands.h"
#include "artifact/format.h"
#include "lowering/Target.h"
#include "lowering/host/InputFile.h"
#include "lowering/host/Messages.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

#include <chrono>
#include <unistd.h>

using namespace mlir;
namespace json = llvm::json;

namespace peer {

static std::vector<std::string> featuresOf(const Target &target) {
  std::vector<std::string> features;
  const json::Object described = target.describe();
  if (const json::Array *list = described.getArray(format::key::kFeatures))
    for (const json::Value &feature : *list)
      features.push_back(feature.getAsString()->str());
  return features;
}

namespace {
/// The version of the code that is tuned.
struct Tuned {
  /// As a person may name it alone, and as it names itself.
  std::string target, name;
  /// All that its code depends on.
  std::string description;
};
} // namespace

/// Of the versions that this machine can run the most demanding one, as the runtime takes it.
static llvm::Expected<Tuned> chooseVersion(StringRef target) {
  auto host = createTarget("cpu");
  if (!host)
    return host.takeError();
  std::vector<std::string> has = featuresOf(**host), lacking;
  auto [family, list] = target.split(':');
  SmallVector<StringRef> parts;
  list.split(parts, '+');
  std::optional<Tuned> best;
  decltype(format::demandsOf({}, {})) most;
  for (StringRef part : parts) {
    std::string name = parts.size() > 1 ? (family + ":" + part).str() : target.str();
    auto version = createTarget(name);
    if (!version)
      return version.takeError();
    if (!(*version)->isTunable())
      return llvm::createStringError("--autotune measures code for this machine's CPU, and the target is " + target);
    std::vector<std::string> needs = featuresOf(**version);
    std::vector<std::string> missing;
    llvm::copy_if(needs, std::back_inserter(missing), [&](const auto &need) { return !llvm::is_contained(has, need); });
    if (!missing.empty()) {
      if (lacking.empty())
        lacking = missing;
    } else if (auto demands = format::demandsOf(needs, (*version)->name()); !best || demands > most) {
      most = std::move(demands);
      best = Tuned{name, (*version)->name(), llvm::formatv("{0}", json::Value((*version)->describe()))};
    }
  }
  if (!best)
    return llvm::createStringError("--autotune measures on this machine, which cannot run code for " + target +
                                   ": it lacks " + llvm::join(lacking, ", "));
  if (parts.size() > 1)
    warnWith("of the versions of " + target + " the one that runs here is tuned, " + best->target);
  return *best;
}

static std::string describeWork(const AutotuneOptions &autotune, StringRef entry) {
  return llvm::formatv("{0}{1}", entry.empty() ? "" : entry,
                       autotune.tokens > 0 ? llvm::formatv(" at T = {0}", autotune.tokens).str() : "");
}

/// A line for each parameter that was tried.
static void report(const SearchResult &result, const std::string &where) {
  llvm::raw_ostream &out = llvm::errs();
  out << "tuning of " << printable(where) << "\n";
  if (!result.tried.empty())
    out << llvm::formatv("  {0,-24}{1,10}{2,10}  {3}\n", "parameter", "default", "chosen", "time of its kernels");
  for (const Tried &each : result.tried)
    out << llvm::formatv("  {0,-24}{1,10}{2,10}  {3}\n", each.name, each.before, each.chosen,
                         each.chosen == each.before ? std::string() : llvm::formatv("{0:f2}", each.ratio).str());
  if (result.isRefuted)
    out << llvm::formatv("  all together: {0:f2} of the time of a call; the defaults stay\n", result.ratio);
  else if (!result.values.empty())
    out << llvm::formatv("  all together: {0:f2} of the time of a call\n", result.ratio);
  else
    out << "  nothing is faster than the defaults\n";
  if (!result.isComplete)
    out << "  time was up before all were tried; --autotune=force with more --autotune-seconds goes further\n";
}

static std::optional<SearchResult> search(const CompileOptions &options, const AutotuneOptions &autotune,
                                          DialectRegistry &registry, std::string &work) {
  auto now = [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); };
  double start = now();
  Candidates candidates(options, registry);
  if (failed(candidates.start(autotune.entry, autotune.tokens)))
    return std::nullopt;
  work = describeWork(autotune, candidates.entry());
  SearchOptions search;
  search.parameters = candidates.worthTrying();
  search.now = now;
  search.deadline = start + double(autotune.seconds);
  bool isTerminal = isatty(STDERR_FILENO);
  auto clearLine = [&] {
    if (isTerminal)
      llvm::errs() << "\r\033[K";
  };
  search.progress = [&](const TuningParameter &parameter, size_t number) {
    clearLine();
    if (isTerminal)
      llvm::errs() << llvm::formatv("tuning {0}: {1} ({2} of {3}), {4:f0} s of {5}", candidates.entry(),
                                    StringRef(parameter.name), number + 1, search.parameters.size(), now() - start,
                                    autotune.seconds);
  };
  auto result = searchTuning(search, [&](const std::vector<TuningValues> &values, const TuningParameter *about) {
    return candidates.measure(values, about);
  });
  clearLine();
  return result;
}

/// Everything that what is found depends on.
static std::string keyOf(const CompileOptions &options, const AutotuneOptions &autotune, const Tuned &tuned,
                         StringRef text) {
  return llvm::formatv("{0}\n{1}\n{2}\n{3}\n{4}\n{5} {6} {7} {8}\n{9}", describeMachine(), describeCompiler(),
                       tuned.description, autotune.entry, autotune.tokens, int(options.mix), options.accumulate,
                       options.disabledExperts, options.separateBlocks, text);
}

LogicalResult autotuneModel(const CompileOptions &options, const AutotuneOptions &autotune, DialectRegistry &registry) {
  if (failed(checkOptions(options)))
    return failure();
  if (options.input == "-")
    return failWith("--autotune compiles a description many times: expected a file, and not standard input");
  if (options.plainLoops)
    return failWith("--autotune is about vector code, and --plain-loops has none");
  if (!options.tuning.empty())
    return failWith("--autotune finds what --tune sets: give one of them");
  if (autotune.seconds < 1 || autotune.tokens < 0)
    return failWith(autotune.seconds < 1
                        ? "--autotune-seconds is " + llvm::Twine(autotune.seconds) + ", expected 1 or more"
                        : "--autotune-tokens is " + llvm::Twine(autotune.tokens) + ", expected 1 or more");
  auto tuned = chooseVersion(options.target);
  if (!tuned)
    return failWith(tuned.takeError());
  auto text = readInput(options.input);
  if (!text)
    return failWith(text.takeError());
  std::string machine = describeMachine();
  std::string file = tuningCacheFile(options.input, keyOf(options, autotune, *tuned, (*text)->getBuffer()));
  std::optional<SearchResult> result;
  if (!file.empty() && autotune.mode != Autotune::Force) {
    if (auto cached = readTuning(file))
      result = std::move(*cached);
    else
      warnWith(llvm::toString(cached.takeError()) + "; it is measured anew");
  }
  std::string model = llvm::sys::path::filename(options.input).str();
  if (result) {
    report(*result, model + " on " + machine + ", as " + file + " has it");
  } else {
    CompileOptions measured = options;
    measured.target = tuned->target;
    std::string work;
    result = search(measured, autotune, registry, work);
    if (!result)
      return failure();
    report(*result, work + " of " + model + " on " + machine);
    if (!file.empty())
      if (llvm::Error error = writeTuning(file, *result, machine, work + " of " + model))
        warnWith(llvm::toString(std::move(error)) + "; what was measured is not kept");
  }
  CompileOptions best = options;
  best.tuning = result->values;
  best.tunedVersion = tuned->name;
  return compileModel(best, registry);
}

} // namespace peer
