// The report of a run.

#include "Report.h"

#include "ReportChart.h"
#include "ReportPage.h"
#include "lm/Progress.h"

#include <algorithm>

namespace peer::runtime {
namespace {

// Smoothing over a fiftieth of the run keeps its shape and takes the noise of single batches out.
constexpr double kSmoothShare = 50.0;

std::string renderTable(const std::string &title, const std::vector<ReportRow> &rows) {
  std::string out = "<div class=\"card\"><table><caption hidden>" + escapeHtml(title) + "</caption>";
  for (const ReportRow &row : rows)
    out += "<tr><td>" + escapeHtml(row.name) + "</td><td>" + escapeHtml(row.value) + "</td></tr>\n";
  return out + "</table></div>\n";
}

/// The raw series of a step metric and its smoothed curve.
std::array<ChartSeries, 2> stepSeries(const RunHistory &history, double StepRecord::*metric, const std::string &name) {
  std::array<ChartSeries, 2> series{ChartSeries{"each step", 0, ChartMark::Noise, {}},
                                    ChartSeries{name + ", smoothed", 0, ChartMark::Line, {}}};
  Smoother smoother(std::max(1.0, static_cast<double>(history.steps.size()) / kSmoothShare));
  for (const StepRecord &record : history.steps) {
    auto step = static_cast<double>(record.step);
    smoother.add(record.*metric);
    series[0].points.push_back({step, record.*metric});
    series[1].points.push_back({step, smoother.value()});
  }
  return series;
}

std::string renderLoss(const Report &report) {
  auto [raw, smooth] = stepSeries(report.history, &StepRecord::loss, "training");
  ChartSeries validation{"validation", 1, ChartMark::Dots, {}};
  for (const EvalRecord &record : report.history.evaluations)
    validation.points.push_back({static_cast<double>(record.step), record.loss});
  char name[96];
  std::snprintf(name, sizeof(name), "unigram entropy of the training text, %.3f", report.unigramEntropy);
  ChartSeries unigram{name, 2, ChartMark::Level, {{0.0, report.unigramEntropy}}};
  std::string chart =
      renderChart({"Loss", {"step", false, true}, {"loss (nats per byte)"}, {raw, smooth, validation, unigram}, true});
  return "<div class=\"wide\">" + chart + "</div>\n";
}

/// One metric of every layer over the evaluations.
std::string renderLayerCurve(const RunHistory &history, const std::string &title, const std::string &unit,
                             double UsageMetrics::*metric, double factor, bool fromZero) {
  Chart chart{title, {"step", false, true}, {unit, false, fromZero}, {}};
  for (const EvalRecord &record : history.evaluations)
    for (const LayerUsage &layer : record.layers) {
      auto found = std::find_if(chart.series.begin(), chart.series.end(),
                                [&](const ChartSeries &s) { return s.name == layer.name; });
      if (found == chart.series.end()) {
        // The palette has six colours; colour 2, the grey of reference lines, is not a layer's.
        static constexpr int kColours[] = {0, 1, 3, 4, 5};
        chart.series.push_back({layer.name, kColours[chart.series.size() % 5], ChartMark::Dots, {}});
        found = chart.series.end() - 1;
      }
      found->points.push_back({static_cast<double>(record.step), factor * layer.metrics.*metric});
    }
  return renderChart(chart);
}

std::string renderLayerTable(const EvalRecord &record) {
  std::string out = "<div class=\"card wide\"><table><tr><th>layer</th><th class=\"n\">experts</th><th "
                    "class=\"n\">used</th><th class=\"n\">unevenness (nats)</th></tr>\n";
  char text[128];
  for (const LayerUsage &layer : record.layers) {
    std::snprintf(
        text, sizeof(text), "<td class=\"n\">%s</td><td class=\"n\">%.2f %%</td><td class=\"n\">%.3f</td></tr>\n",
        formatCount(static_cast<double>(layer.experts)).c_str(), 100 * layer.metrics.usage, layer.metrics.unevenness);
    out += "<tr><td>" + escapeHtml(layer.name) + "</td>" + text;
  }
  return out + "</table></div>\n";
}

} // namespace

std::string renderReport(const Report &report) {
  std::string out = "<div class=\"headline\">";
  for (const ReportRow &row : report.headline)
    out += "<div><b>" + escapeHtml(row.value) + "</b><span>" + escapeHtml(row.name) + "</span></div>";
  out += "</div>\n<div class=\"cards\">\n";

  if (!report.history.steps.empty()) {
    out += renderLoss(report);
    auto [raw, smooth] = stepSeries(report.history, &StepRecord::tokensPerSecond, "throughput");
    out += "<div class=\"wide\">" +
           renderChart({"Throughput", {"step", false, true}, {"tokens per second", false, true}, {raw, smooth}, true}) +
           "</div>\n";
  }
  out += "</div>\n";

  const auto &evaluations = report.history.evaluations;
  bool layers = !evaluations.empty() && !evaluations.back().layers.empty();
  if (layers || !report.usage.empty())
    out += "<h2>Expert usage</h2>\n<div class=\"cards\">\n";
  if (layers) {
    out += renderLayerTable(evaluations.back());
    if (evaluations.size() > 1) {
      out += renderLayerCurve(report.history, "Experts used", "experts with gate mass (%)", &UsageMetrics::usage, 100.0,
                              true);
      out +=
          renderLayerCurve(report.history, "Unevenness", "KL to even use (nats)", &UsageMetrics::unevenness, 1.0, true);
    }
  }
  for (const UsagePicture &picture : report.usage)
    out += renderUsage(picture);
  if (layers || !report.usage.empty())
    out += "</div>\n";

  out += "<h2>Result and settings</h2>\n<div class=\"cards\">\n" + renderTable("Result", report.metrics) +
         renderTable("Settings", report.settings) + "</div>\n";
  return renderPage(report.title, out);
}

} // namespace peer::runtime
