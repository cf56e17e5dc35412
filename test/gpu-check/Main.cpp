// Replays the recorded cases of a folder and runs its benchmarks on a GPU or in the simulator: see README.md.
#include "Benchmark.h"
#include "Replay.h"
#include "Table.h"

#include "session/Session.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>

using namespace peer::gpucheck;
using namespace peer::runtime;

namespace {
/// Calls for a figure, unless the user wants another number.
constexpr int kRepeats = 50, kSimulatedRepeats = 5;

struct Options {
  std::string folder, device = "cuda", json, markdown, python, only;
  bool small = false, noCases = false, noBenchmarks = false;
  int repeats = 0;
};

std::vector<std::string> caseFiles(const Options &options) {
  std::vector<std::string> files;
  std::error_code ignored;
  for (const auto &entry : std::filesystem::directory_iterator(options.folder, ignored))
    if (entry.path().extension() == ".case" && entry.path().filename().string().find(options.only) != std::string::npos)
      files.push_back(entry.path().string());
  std::ranges::sort(files);
  return files;
}

Json benchmarkSpecs(const Options &options) {
  Json specs = Json::array();
  for (const Json &spec : Json::parse(std::ifstream(options.folder + "/benchmarks.json")))
    if (spec["small"] == options.small &&
        (spec["id"].get<std::string>() + " " + spec["name"].get<std::string>()).find(options.only) != std::string::npos)
      specs.push_back(spec);
  return specs;
}

/// What the device is, by an artifact of the folder: {"device"} or {"message"}.
Json describeDevice(const Options &options) {
  Json answer;
  runIsolated(
      1, 120,
      [&](size_t) -> Json {
        auto session = Session::open(options.folder + "/probe.peer", options.device);
        if (!session.ok())
          return {{"message", session.message()}};
        return {{"device", (*session)->device().description()}};
      },
      [&](size_t, const Json &result) { answer = result; });
  return answer;
}

/// The sentence without the artifact that was tried.
std::string whyNot(const std::string &message) {
  const std::string border = ": ";
  size_t start = message.find("cannot run on the device");
  start = start == std::string::npos ? start : message.find(border, start);
  return start == std::string::npos ? message : message.substr(start + border.size());
}

int count(const Json &results, const char *status) {
  return static_cast<int>(std::ranges::count_if(results, [&](const Json &each) { return each["status"] == status; }));
}

Json runCases(const Options &options) {
  std::vector<std::string> files = caseFiles(options);
  Json results = Json::array();
  runIsolated(
      files.size(), options.device == "sim" ? 600 : 60, [&](size_t i) { return replayCase(files[i], options.device); },
      [&](size_t i, const Json &given) {
        Json result = {{"name", std::filesystem::path(files[i]).stem().string()}};
        result.update(given);
        if (result["status"] != "pass")
          std::cout << "failed: " << result["name"].get<std::string>() << ": " << result.value("message", "")
                    << std::endl;
        results.push_back(result);
      });
  return results;
}

Json runBenchmarks(const Options &options) {
  Json specs = benchmarkSpecs(options), results = Json::array();
  bool gpu = options.device == "cuda";
  int repeats = options.repeats > 0 ? options.repeats : gpu ? kRepeats : kSimulatedRepeats;
  BenchmarkOptions how{options.folder, options.device, repeats, gpu && !options.small, options.python};
  runIsolated(
      specs.size(), 1800, [&](size_t i) { return runBenchmark(specs[i], how); },
      [&](size_t i, const Json &given) {
        Json result = {{"id", specs[i]["id"]}, {"name", specs[i]["name"]}, {"tokens", specs[i]["tokens"]}};
        result.update(given);
        judgeRatio(specs[i], results, how.judge, result);
        std::cout << benchmarkLine(result) << std::endl;
        results.push_back(result);
      });
  return results;
}

int run(const Options &options) {
  Json device = describeDevice(options);
  if (!device.contains("device")) {
    std::cerr << "gpu-check: error: " << whyNot(device.value("message", "the device cannot be opened")) << "\n";
    return 1;
  }
  char date[32];
  std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", std::gmtime(&now));
  Json report = {{"date", date}, {"device", options.device}, {"gpu", device["device"]}, {"small", options.small}};
  std::cout << date << ", " << options.device << ": " << device["device"].get<std::string>() << std::endl;
  report["cases"] = options.noCases ? Json::array() : runCases(options);
  if (!report["cases"].empty())
    std::cout << "cases: " << count(report["cases"], "pass") << " of " << report["cases"].size() << " passed"
              << std::endl;
  report["benchmarks"] = options.noBenchmarks ? Json::array() : runBenchmarks(options);
  std::string tables;
  if (!report["cases"].empty())
    tables += "\n" + caseTable(report["cases"]);
  if (!report["benchmarks"].empty())
    tables += "\n" + benchmarkTable(report["benchmarks"]);
  std::cout << tables;
  for (const auto &[path, text] :
       {std::pair{options.json, report.dump(2) + "\n"},
        {options.markdown, concat("## ", date, ", ", report["gpu"].get<std::string>(), "\n", tables)}})
    if (!path.empty() && !(std::ofstream(path) << text)) {
      std::cerr << "gpu-check: error: cannot write " << path << "\n";
      return 1;
    }
  if (report["cases"].empty() && report["benchmarks"].empty()) {
    std::cerr << "gpu-check: error: nothing is called '" << options.only << "' in " << options.folder << "\n";
    return 1;
  }
  int failed = count(report["cases"], "fail") + count(report["benchmarks"], "fail");
  std::cout << "\n" << (failed ? concat(failed, " failed") : "all passed") << "\n";
  return failed ? 1 : 0;
}
} // namespace

int main(int argc, char **argv) {
  CLI::App app("Checks compiled kernels on a GPU, and measures them");
  Options options;
  app.add_option("FOLDER", options.folder, "What ./dev gpu-check packed, unpacked")->required();
  app.add_option("--device", options.device, "cuda or sim")->check(CLI::IsMember({"cuda", "sim"}));
  app.add_option("--json", options.json, "Write the results there");
  app.add_option("--markdown", options.markdown, "Write the tables there");
  app.add_option("--torch", options.python, "Python with PyTorch and CUDA, to measure beside");
  app.add_option("--only", options.only, "Cases and benchmarks whose name contains this");
  app.add_option("--repeats", options.repeats, "Calls for a figure")->check(CLI::Range(1, 10000));
  app.add_flag("--small", options.small, "Small benchmarks, whose figures are not judged");
  app.add_flag("--no-cases", options.noCases, "No recorded cases");
  app.add_flag("--no-benchmarks", options.noBenchmarks, "No benchmarks");
  CLI11_PARSE(app, argc, argv);
  return run(options);
}
