//===- TuningCache.cpp - what was found on this machine ------------------===//

#include "TuningCache.h"

#include "lowering/host/OutputFile.h"
#include "lowering/tuning/Tuning.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Threading.h"
#include "llvm/Support/xxhash.h"

#include <unistd.h>

using namespace llvm;

namespace peer {

static constexpr int64_t kFormat = 1;

static std::string variable(const char *name) { return sys::Process::GetEnv(name).value_or(""); }

std::string describeMachine() {
  std::string cpu = "unknown CPU";
  // A file of /proc says that it has no bytes.
  if (auto text = MemoryBuffer::getFileAsStream("/proc/cpuinfo")) {
    SmallVector<StringRef> lines;
    (*text)->getBuffer().split(lines, '\n');
    for (StringRef line : lines)
      if (line.consume_front("model name")) {
        cpu = line.split(':').second.trim().str();
        break;
      }
  }
  std::string threads = variable("OMP_NUM_THREADS"), blas = variable("OPENBLAS_CORETYPE");
  if (threads.empty())
    threads = std::to_string(hardware_concurrency().compute_thread_count());
  return formatv("{0}, {1} threads, {2} KiB of L2{3}{4}", cpu, threads, sysconf(_SC_LEVEL2_CACHE_SIZE) / 1024,
                 blas.empty() ? "" : ", OPENBLAS_CORETYPE=", blas);
}

std::string describeCompiler() {
  std::string program = sys::fs::getMainExecutable(nullptr, nullptr);
  sys::fs::file_status status;
  (void)sys::fs::status(program, status);
  return formatv("peer-opt {0} {1} {2} {3}", PEER_VERSION, program, status.getSize(),
                 status.getLastModificationTime().time_since_epoch().count());
}

std::string tuningCacheFile(StringRef model, StringRef key) {
  SmallString<128> path(variable("XDG_CACHE_HOME"));
  if (!sys::path::is_absolute(path)) {
    path = variable("HOME");
    if (!sys::path::is_absolute(path))
      return "";
    sys::path::append(path, ".cache");
  }
  std::string hash = utohexstr(xxh3_64bits(key), /*LowerCase=*/true, 16);
  sys::path::append(path, "peer", "tuning", sys::path::stem(model).take_front(100) + "-" + hash + ".json");
  return path.str().str();
}

Expected<std::optional<SearchResult>> readTuning(StringRef file) {
  if (!sys::fs::exists(file))
    return std::nullopt;
  auto fail = [&](const Twine &why) { return createStringError(file + " is no cache of tuning: " + why); };
  auto text = MemoryBuffer::getFile(file, /*IsText=*/true);
  if (!text)
    return fail(text.getError().message());
  auto parsed = json::parse((*text)->getBuffer());
  if (!parsed)
    return fail(toString(parsed.takeError()));
  const json::Object *root = parsed->getAsObject();
  const json::Array *parameters = root ? root->getArray("parameters") : nullptr;
  auto ratio = root ? root->getNumber("ratio") : std::nullopt;
  if (!parameters || !ratio || root->getInteger("format") != kFormat)
    return fail("expected an object with format 1, ratio and parameters");
  SearchResult result;
  result.ratio = *ratio;
  result.isComplete = root->getBoolean("complete").value_or(true);
  result.isRefuted = root->getBoolean("refuted").value_or(false);
  for (const json::Value &item : *parameters) {
    const json::Object *object = item.getAsObject();
    auto name = object ? object->getString("name") : std::nullopt;
    auto before = object ? object->getInteger("default") : std::nullopt;
    auto chosen = object ? object->getInteger("chosen") : std::nullopt;
    auto ratio = object ? object->getNumber("ratio") : std::nullopt;
    if (!name || !before || !chosen || !ratio)
      return fail("expected name, default, chosen and ratio of each parameter");
    if (Error error = checkTuning(*name, *chosen, file))
      return std::move(error);
    result.tried.push_back({name->str(), *before, *chosen, *ratio});
    if (*chosen != *before)
      result.values[name->str()] = *chosen;
  }
  return result;
}

Error writeTuning(StringRef file, const SearchResult &result, StringRef machine, StringRef what) {
  if (std::error_code error = sys::fs::create_directories(sys::path::parent_path(file)))
    return createStringError("cannot make " + sys::path::parent_path(file) + ": " + error.message());
  json::Array parameters;
  for (const Tried &each : result.tried)
    parameters.push_back(
        json::Object{{"name", each.name}, {"default", each.before}, {"chosen", each.chosen}, {"ratio", each.ratio}});
  json::Object root{{"format", kFormat},
                    {"machine", json::fixUTF8(machine)},
                    {"measured", json::fixUTF8(what)},
                    {"ratio", result.ratio},
                    {"complete", result.isComplete},
                    {"refuted", result.isRefuted},
                    {"parameters", std::move(parameters)}};
  return writeOutput(file, formatv("{0:2}\n", json::Value(std::move(root))).str());
}

} // namespace peer
