#include "Table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

namespace peer::gpucheck {

namespace {
using Row = std::vector<std::string>;

std::string text(const char *format, double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

std::string tableOf(const std::vector<Row> &rows) {
  std::vector<size_t> widths(rows[0].size());
  for (const Row &row : rows)
    for (size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  std::string result;
  for (size_t line = 0; line < rows.size(); ++line) {
    for (size_t i = 0; i < widths.size(); ++i)
      result += "| " + rows[line][i] + std::string(widths[i] - rows[line][i].size() + 1, ' ');
    result += "|\n";
    if (line == 0) {
      for (size_t width : widths)
        result += "|" + std::string(width + 2, '-');
      result += "|\n";
    }
  }
  return result;
}

/// "505 us", "2.1 ms".
std::string timeText(const Json &from, const char *key) {
  if (!from.contains(key))
    return "";
  double us = from[key];
  return us < 1000 ? text("%.1f us", us) : text("%.2f ms", us * 1e-3);
}

std::string valueText(double value, const std::string &unit) {
  if (unit == "us")
    return value < 1000 ? text("%.1f us", value) : text("%.2f ms", value * 1e-3);
  if (unit == "bytes")
    return value < 1e7 ? text("%.5f GB", value * 1e-9) : text("%.2f GB", value * 1e-9);
  if (unit == "times")
    return text("%.2f x", value);
  return unit == "percent of copy" ? text("%.0f %%", value) : text("%.1f ns/token", value);
}

std::string torchText(const Json &benchmark, const char *variant) {
  if (!benchmark.contains("torch"))
    return "";
  const Json &torch = benchmark["torch"];
  if (!torch.contains(variant))
    return torch.contains("message") ? "failed" : "";
  const Json &figure = torch[variant];
  if (benchmark.value("unit", "") == "bytes" && figure.contains("peak_bytes"))
    return valueText(figure["peak_bytes"], "bytes");
  if (figure.contains("us"))
    return timeText(figure, "us");
  return figure.contains("message") ? "failed" : "";
}
} // namespace

std::string benchmarkTable(const Json &benchmarks) {
  std::vector<Row> rows{
      {"", "what", "T", "time", "GB/s", "of copy", "figure", "target", "", "torch eager", "torch.compile", "Triton"}};
  for (const Json &benchmark : benchmarks) {
    Row row{benchmark.value("id", ""), benchmark.value("name", ""), std::to_string(benchmark.value("tokens", 0)),
            timeText(benchmark, "us")};
    row.push_back(benchmark.contains("gb_per_s") ? text("%.0f", benchmark["gb_per_s"]) : "");
    row.push_back(benchmark.contains("percent_of_copy") ? text("%.0f %%", benchmark["percent_of_copy"]) : "");
    std::string unit = benchmark.value("unit", "");
    row.push_back(benchmark.contains("value") ? valueText(benchmark["value"], unit) : "");
    row.push_back(benchmark.contains("target") ? (unit == "percent of copy" || unit == "times" ? ">= " : "<= ") +
                                                     valueText(benchmark["target"], unit)
                                               : "");
    row.push_back(benchmark.value("status", ""));
    for (const char *variant : {"eager", "compile", "triton"})
      row.push_back(torchText(benchmark, variant));
    rows.push_back(row);
  }
  return tableOf(rows);
}

std::string caseTable(const Json &cases) {
  struct Suite {
    int all = 0, passed = 0;
    double share = 0; // the largest part of its tolerance that an error is
  };
  std::map<std::string, Suite> suites;
  std::string failures;
  for (const Json &each : cases) {
    std::string name = each["name"];
    Suite &suite = suites[name.substr(0, name.find('.'))];
    ++suite.all;
    if (each["status"] == "pass") {
      ++suite.passed;
      if (each.value("tolerance", 0.0) > 0)
        suite.share = std::max(suite.share, each["error"].get<double>() / each["tolerance"].get<double>());
    } else {
      failures += "failed: " + name + ": " + each.value("message", "") + "\n";
    }
  }
  std::vector<Row> rows{{"suite", "passed", "largest error in its tolerance"}};
  for (const auto &[name, suite] : suites)
    rows.push_back(
        {name, std::to_string(suite.passed) + " of " + std::to_string(suite.all), text("%.0f %%", 100 * suite.share)});
  return tableOf(rows) + failures;
}

std::string benchmarkLine(const Json &benchmark) {
  std::string line = benchmark.value("id", "") + " " + benchmark.value("name", "") +
                     ", T = " + std::to_string(benchmark.value("tokens", 0)) + ": " + benchmark.value("status", "");
  if (benchmark.contains("us"))
    line += ", " + timeText(benchmark, "us");
  if (benchmark.contains("value") && benchmark["unit"] != "us")
    line += ", " + valueText(benchmark["value"], benchmark.value("unit", ""));
  if (benchmark.contains("message"))
    line += ": " + benchmark["message"].get<std::string>();
  return line;
}

} // namespace peer::gpucheck
