#include "Commands.h"
#include "ModelFile.h"
#include "OptionChecks.h"
#include "ProfileOutput.h"
#include "Table.h"
#include "bench/Against.h"
#include "core/Memory.h"
#include "core/Printable.h"
#include "device/cpu/Blas.h"
#include "lm/Progress.h"
#include "session/Bench.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <omp.h>

namespace peer::runtime {

namespace {
struct BenchOptions {
  std::string model, entry, weights, in;
  std::vector<std::string> dims, against;
  int64_t repeat = 20;
  bool json = false, each = false;
};

constexpr uint64_t kSeed = 1;
constexpr int64_t kDefaultTokens = 1024;

constexpr const char *kHelp =
    R"(One call warms up, --repeat calls are timed. Times are microseconds per call, bytes and FLOPs what the kernel moves and
computes at this token count (rows gathered from a table count once per selection, though some may be in a cache; of keys that are packed,
those, and what is scored in f32 as well), GB/s and GFLOP/s these divided by the median time, stream_gb_per_s what all threads together
can read from memory, or a GPU copies within its own, bytes read and written together (GB = 1e9 bytes). The simulator's times say nothing about a GPU's. Without --in the inputs are random (fixed seed, integers within their range);
without --weights parameters are initialised as "peer-run init --seed 1" does.

A route on a CPU bounds scores by integers and scores in f32 what may still be selected. Below the table stands which share of the keys that was, and how many
rows (a token's scores of one head and half) had no bounds, so that all their keys were scored: keys or query have what is no number or huge, or
few tokens meet keys that nobody packed, as a caller's memory may change.

Example:
  peer-run bench peer_layer.peer layer --dim T=1024 --threads 2 --json
  peer-run bench old.peer layer --against new.peer   which is faster, whatever else the machine does)";

/// T from --dim NAME=N, or the default.
Result<int64_t> tokensOf(const BenchOptions &options, const Entry &entry) {
  int64_t tokens = entry.dynamic ? (kDefaultTokens + entry.multipleOf - 1) / entry.multipleOf * entry.multipleOf : 0;
  for (const std::string &dim : options.dims) {
    size_t equals = dim.find('=');
    std::string name = dim.substr(0, equals), number = equals == std::string::npos ? "" : dim.substr(equals + 1);
    if (number.empty() || number.size() > 15 || number.find_first_not_of("0123456789") != std::string::npos)
      return Status::error("--dim ", dim, ": expected NAME=N with N a whole number, such as T=1024");
    if (!entry.dynamic || name != "T")
      return Status::error("--dim ", dim, ": entry \"", entry.name, "\" has no dimension ", name,
                           entry.dynamic ? " (it has: T)" : " (all its sizes are fixed)");
    tokens = std::stoll(number);
    if (tokens % entry.multipleOf != 0)
      return Status::error("--dim ", dim, ": entry \"", entry.name, "\" takes multiples of ", entry.multipleOf);
    if (entry.most > 0 && tokens > entry.most)
      return Status::error("--dim ", dim, ": entry \"", entry.name, "\" takes at most ", entry.most);
  }
  return tokens;
}

void printJson(const BenchResult &result) {
  nlohmann::ordered_json kernels = nlohmann::ordered_json::array();
  for (const KernelTiming &kernel : result.kernels) {
    kernels.push_back({{"name", kernel.name},
                       {"median_us", kernel.medianUs},
                       {"bytes", kernel.bytes},
                       {"gb_per_s", kernel.gbPerSecond()},
                       {"gflop_per_s", kernel.gflopPerSecond()}});
    if (kernel.scored.rows > 0)
      kernels.back()["keys"] = {{"rows", kernel.scored.rows},
                                {"rows_without_bounds", kernel.scored.unbounded},
                                {"keys", kernel.scored.keys},
                                {"scored", kernel.scored.scored}};
  }
  nlohmann::ordered_json root = {{"entry", result.entry},
                                 {"tokens", result.tokens},
                                 {"median_us", result.medianUs},
                                 {"min_us", result.minUs},
                                 {"stream_gb_per_s", result.streamGbPerSecond},
                                 {"kernels", std::move(kernels)}};
  root["device"] = result.device;
  if (result.laneOperationsPerSecond > 0)
    root["lane_operations_per_s"] = result.laneOperationsPerSecond;
  std::printf("%s\n", root.dump(2).c_str());
}

/// One line per name, with the sums of what bears it: a model's blocks repeat their kernels.
std::vector<KernelTiming> grouped(const std::vector<KernelTiming> &kernels) {
  std::vector<KernelTiming> groups;
  std::vector<int> counts;
  for (const KernelTiming &kernel : kernels) {
    auto group =
        std::find_if(groups.begin(), groups.end(), [&](const KernelTiming &g) { return g.name == kernel.name; });
    if (group == groups.end()) {
      groups.push_back(kernel);
      counts.push_back(1);
      continue;
    }
    ++counts[group - groups.begin()];
    group->medianUs += kernel.medianUs;
    group->minUs += kernel.minUs;
    group->bytes += kernel.bytes;
    group->flops += kernel.flops;
    group->scored += kernel.scored;
  }
  for (size_t i = 0; i < groups.size(); ++i)
    if (counts[i] > 1)
      groups[i].name += " x" + std::to_string(counts[i]);
  return groups;
}

void printTable(const BenchResult &result, bool each) {
  std::printf("%s: T = %lld, %lld calls, %d threads\n", result.entry.c_str(), static_cast<long long>(result.tokens),
              static_cast<long long>(result.repeats), omp_get_max_threads());
  Table table({"kernel", "median us", "min us", "MB", "GB/s", "of stream", "MFLOP", "GFLOP/s"});
  std::vector<KernelTiming> shown = each ? result.kernels : grouped(result.kernels);
  for (const KernelTiming &kernel : shown) {
    bool known = result.streamGbPerSecond > 0;
    std::string share = known ? fixed(100 * kernel.gbPerSecond() / result.streamGbPerSecond, 0) + " %" : "";
    table.add({kernel.name, fixed(kernel.medianUs, 1), fixed(kernel.minUs, 1), fixed(kernel.bytes * 1e-6, 3),
               fixed(kernel.gbPerSecond(), 2), share, fixed(kernel.flops * 1e-6, 3),
               fixed(kernel.gflopPerSecond(), 2)});
  }
  std::printf("device: %s\n", result.device.c_str());
  if (!result.kernels.empty())
    std::printf("%s", table.text("  ").c_str());
  for (const KernelTiming &kernel : shown)
    std::printf("%s", scoredText(kernel.name, kernel.scored).c_str());
  std::printf("total: median %.1f us, minimum %.1f us", result.medianUs, result.minUs);
  if (result.tokens > 0)
    std::printf(", %.2f us per token", result.medianUs / static_cast<double>(result.tokens));
  std::printf("\n");
  if (result.streamGbPerSecond > 0)
    std::printf("stream bandwidth: %.1f GB/s; ", result.streamGbPerSecond);
  std::printf("most memory held by compiled code: %s\n", bytesText(result.peakBytes).c_str());
  if (result.laneOperationsPerSecond > 0)
    std::printf("simulator: %.0f million lane-operations per second\n", result.laneOperationsPerSecond * 1e-6);
}

Result<int> runBench(const BenchOptions &options, const std::string &device) {
  if (!options.in.empty() && !options.dims.empty())
    return Status::error("--dim and --in exclude each other: the tensors of --in already have sizes");
  PEER_TRY_ASSIGN(ModelHandle model, findModel(options.model, device));
  PEER_TRY_ASSIGN(std::unique_ptr<Session> session, Session::open(model, device));
  PEER_TRY_ASSIGN(const Entry *entry, session->entry(options.entry));
  TensorMap inputs;
  if (!options.in.empty()) {
    PEER_TRY_ASSIGN(inputs, readSafetensors(options.in));
  } else {
    PEER_TRY_ASSIGN(int64_t tokens, tokensOf(options, *entry));
    PEER_TRY_ASSIGN(inputs, randomInputs(*entry, tokens, kSeed));
  }
  if (Result<int64_t> tokens = session->checkInputs(*entry, inputs); !tokens.ok())
    return tokens.status();
  PEER_TRY(session->prepare(*entry));
  PEER_TRY(options.weights.empty() ? session->initParameters(kSeed) : loadWeights(*session, options.weights));
  if (!options.against.empty()) {
    PEER_TRY(benchAgainst(*session, *entry, inputs, options.against, options.repeat, options.json));
    return 0;
  }
  PEER_TRY_ASSIGN(BenchResult result,
                  benchEntry(*session, *entry, inputs, session->defaultScalars(*entry), options.repeat));
  if (options.json)
    printJson(result);
  else
    printTable(result, options.each);
  if (std::string advice = blasAdvice(); !advice.empty())
    std::fprintf(stderr, "peer-run: note: %s\n", printableLine(advice).c_str());
  return 0;
}
} // namespace

void addBenchCommand(CLI::App &app, CommandContext &context) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App *command = app.add_subcommand(
      "bench", "Time one function of a model, kernel by kernel, beside the machine's memory bandwidth");
  command->footer(kHelp);
  command->add_option("MODEL", options->model, "Description (.mlir) or compiled model (.peer)")->required();
  command->add_option("ENTRY", options->entry, "The function to time")->required();
  command->add_option("--weights", options->weights, "Parameters (default: initialised)")->type_name("FILE");
  command->add_option("--in", options->in, "Input tensors (default: random)")->type_name("FILE");
  command
      ->add_option(
          "--dim", options->dims,
          "Size of a dynamic dimension of random inputs (default: T=1024, rounded up to what the function takes)")
      ->type_name("NAME=N")
      ->allow_extra_args(false);
  command->add_option("--repeat", options->repeat, "Calls to time")
      ->type_name("R")
      ->check(checkInteger(1, 1000000, "a whole number from 1 to 1000000"))
      ->capture_default_str();
  command
      ->add_option("--against", options->against,
                   "Another artifact of the same model: all are called in turns, on the same parameters (-: a program "
                   "asks on stdin)")
      ->type_name("OTHER.peer")
      ->allow_extra_args(false);
  command->add_flag("--each", options->each,
                    "A line for each kernel of the function, in order; without it equal names share one");
  command->add_flag("--json", options->json, "Print one JSON object instead of a table");
  addCommonOptions(*command, context);
  command->callback(
      [options, &context] { context.action = [options, &context] { return runBench(*options, context.device); }; });
}

} // namespace peer::runtime
