// The report of a run.

#include "Report.h"

#include "ReportChart.h"
#include "lm/Progress.h"

#include <algorithm>

namespace peer::runtime {
namespace {

// Both colour schemes are spelled out: a report is also printed and mailed. The palette keeps its hues apart for
// colour-blind readers (after Okabe and Ito).
constexpr const char *kStyle = R"css(
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b1f24;--soft:#5b6470;--grid:#e4e7eb;--axis:#9aa3ad;--c0:#0b6fb8;--c1:#d1570a;--c2:#5b6470;--c3:#0a8a63;--c4:#b0498e;--c5:#a07800}
@media (prefers-color-scheme:dark){:root{--bg:#121417;--card:#1b1e23;--ink:#e7eaee;--soft:#a0a9b4;--grid:#2c3138;--axis:#5d6670;--c0:#5cb3f0;--c1:#f59252;--c2:#a0a9b4;--c3:#3fcf9f;--c4:#e58cc4;--c5:#e3bf4a}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 20px 48px}
h1{font-size:24px;line-height:1.25;margin:0 0 18px;overflow-wrap:anywhere}h2{font-size:17px;margin:34px 0 12px}
.headline{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:0 0 16px}
.headline div{background:var(--card);border:1px solid var(--grid);border-radius:10px;padding:12px 16px}
.headline b{display:block;font-size:22px;font-weight:600;font-variant-numeric:tabular-nums}.headline span{color:var(--soft);font-size:13px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(460px,100%),1fr));gap:16px;align-items:start}
.card{margin:0;background:var(--card);border:1px solid var(--grid);border-radius:10px;padding:14px 16px;min-width:0}
.wide{grid-column:1/-1}
figcaption{font-weight:600;overflow-wrap:anywhere}.card p{margin:2px 0 10px;color:var(--soft);font-size:13px}
.legend{display:flex;flex-wrap:wrap;gap:2px 18px;margin:4px 0 6px;color:var(--soft);font-size:13px}.legend span{display:inline-flex;align-items:center;gap:7px}
svg.key{width:26px;height:10px}svg.chart,svg.scale{display:block;width:100%;height:auto}svg.scale{max-width:430px;margin:10px auto 0}
.grid{stroke:var(--grid)}.axis{stroke:var(--axis)}text{fill:var(--soft);font-size:12px;font-variant-numeric:tabular-nums}text.label{font-size:12.5px}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.noise{fill:none;stroke-width:1;opacity:.35}.level{stroke-width:1.6;stroke-dasharray:6 5}
.dot{stroke:var(--card);stroke-width:1}
polyline.c0,line.c0{stroke:var(--c0)}polyline.c1,line.c1{stroke:var(--c1)}polyline.c2,line.c2{stroke:var(--c2)}polyline.c3,line.c3{stroke:var(--c3)}polyline.c4,line.c4{stroke:var(--c4)}polyline.c5,line.c5{stroke:var(--c5)}
circle.c0{fill:var(--c0)}circle.c1{fill:var(--c1)}circle.c2{fill:var(--c2)}circle.c3{fill:var(--c3)}circle.c4{fill:var(--c4)}circle.c5{fill:var(--c5)}
.gridbox{display:grid;grid-template-columns:auto minmax(0,384px);gap:4px 8px;justify-content:center;color:var(--soft);font-size:12px}
.rows{display:flex;justify-content:space-between;text-align:right;writing-mode:vertical-rl;transform:rotate(180deg)}
.columns{grid-column:2;display:flex;justify-content:space-between}
img.usage{display:block;width:100%;aspect-ratio:1;object-fit:fill;image-rendering:pixelated;border:1px solid var(--axis)}
table{border-collapse:collapse;width:100%;font-size:14px}td,th{text-align:left;vertical-align:top;padding:5px 10px 5px 0;border-bottom:1px solid var(--grid);overflow-wrap:anywhere}
td:first-child{color:var(--soft);width:42%}th{color:var(--soft);font-weight:500}tr:last-child td{border-bottom:0}td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;width:auto}
@media print{body{background:#fff}.card{break-inside:avoid}}
)css";

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
  std::string out = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                    "content=\"width=device-width,initial-scale=1\"><title>" +
                    escapeHtml(report.title) + "</title><style>" + kStyle + "</style></head>\n<body><main><h1>" +
                    escapeHtml(report.title) + "</h1>\n<div class=\"headline\">";
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
  return out + "</main></body></html>\n";
}

} // namespace peer::runtime
