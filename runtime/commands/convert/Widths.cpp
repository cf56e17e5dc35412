#include "Widths.h"

#include <algorithm>
#include <set>

namespace peer::runtime {
namespace {

std::string listOf(const std::vector<int64_t> &widths) {
  std::string text;
  for (int64_t width : widths)
    text += concat(text.empty() ? "" : ",", width);
  return text;
}

/// Layers halved as often as `from` says for the first and `to` for the last, and between in even steps.
std::vector<int64_t> steps(const std::vector<int64_t> &layers, int64_t from, int64_t to) {
  std::vector<int64_t> widths;
  for (size_t i = 0; i < layers.size(); ++i) {
    int64_t last = std::max<int64_t>(static_cast<int64_t>(layers.size()) - 1, 1);
    int64_t level = from + (to - from) * static_cast<int64_t>(i) / last;
    widths.push_back(std::max<int64_t>(layers[i] >> level, 1));
  }
  return widths;
}

} // namespace

Result<std::string> widthsOf(const ConvertBench &bench) {
  std::string given = bench.setting("widths");
  bool isList = !given.empty() && given.size() < 100000 && given.front() != ',' && given.back() != ',' &&
                given.find(",,") == std::string::npos && given.find_first_not_of("0123456789,") == std::string::npos;
  for (size_t digits = 0; char c : given)
    isList &= (digits = c == ',' ? 0 : digits + 1) < 10;
  if (!isList)
    return Status::error(given.empty() ? "matformer wants --widths" : "--widths",
                         ": expected the hidden units that all layers keep, or a number for each as 64,128,64",
                         given.empty() ? "" : concat(", got '", given, "'"));
  return given;
}

Status measureWidths(ConvertBench &bench, const TensorMap &before, const std::vector<int64_t> &layers,
                     ConvertReport &report) {
  PEER_TRY_ASSIGN(std::string chosen, widthsOf(bench));
  if (chosen.find(',') == std::string::npos)
    chosen = listOf(std::vector<int64_t>(layers.size(), std::stoll(chosen)));
  std::set<std::string> tried{chosen};
  for (auto [from, to] : {std::pair(0, 0), {1, 1}, {2, 2}, {3, 3}, {0, 2}, {2, 0}})
    tried.insert(listOf(steps(layers, from, to)));
  report.curveOf = "widths";
  for (const std::string &widths : tried) {
    PEER_TRY_ASSIGN(
        Measurement measured,
        bench.measureWith(
            {{"widths", widths}}, before, [](const std::string &) { return Decisions(); }, bench.options.evalTokens));
    report.curve.push_back({measured.parameters,
                            static_cast<double>(measured.parameters) / static_cast<double>(report.before.parameters),
                            widths,
                            {{"loss", measured.loss}}});
  }
  std::ranges::stable_sort(report.curve, {}, &CurvePoint::count);
  return {};
}

} // namespace peer::runtime
