// What a comparison of models found, as tables and as a page with curves.

#include "CompareReport.h"

#include "ReportChart.h"
#include "ReportPage.h"
#include "lm/Progress.h"

#include <algorithm>

namespace peer::runtime {
namespace {

constexpr const char *kNone = "-";

std::string number(double value, int digits = 4) {
  char text[40];
  std::snprintf(text, sizeof(text), "%.*g", digits, value);
  return text;
}

/// The middle of a long name is left out.
std::string shortName(const std::string &name) {
  constexpr size_t kMost = 22;
  return name.size() <= kMost ? name : name.substr(0, 10) + ".." + name.substr(name.size() - 10);
}

std::string meanText(const Spread &spread, int digits) {
  return spread.count ? fixed(spread.mean, digits) : std::string(kNone);
}

CompareTable resultTable(const Comparison &comparison, const BudgetResult &budget) {
  CompareTable table{concat("After ", budget.text()),
                     {{"model", "params M", "active M", "MFLOP/tok", "kB/tok", "tokens/s", "loss", "spread"}}};
  if (comparison.disabledExperts > 0)
    table.rows.front().push_back("top off");
  for (size_t m = 0; m < comparison.models.size(); ++m) {
    const ModelFacts &model = comparison.models[m];
    const std::vector<SeedResult> &runs = budget.runs[m];
    Spread loss = spreadOf(runs, [](const SeedResult &run) { return std::optional(run.loss); });
    Spread speed = spreadOf(runs, [](const SeedResult &run) { return std::optional(run.tokensPerSecond); });
    bool allFailed = !runs.empty() && loss.count == 0;
    table.rows.push_back({shortName(model.name), number(model.parameters / 1e6),
                          model.active ? number(static_cast<double>(*model.active) / 1e6) : kNone,
                          model.loss ? number(model.loss->flops / 1e6) : kNone,
                          model.loss ? number(model.loss->bytes / 1e3) : kNone, meanText(speed, 0),
                          allFailed ? "diverged" : meanText(loss, 4),
                          loss.deviation ? fixed(*loss.deviation, 4) : kNone});
    if (comparison.disabledExperts > 0)
      table.rows.back().push_back(meanText(spreadOf(runs, [](const SeedResult &run) { return run.disabledLoss; }), 4));
  }
  return table;
}

CompareTable poolTable(const Comparison &comparison) {
  CompareTable table{"Expert pools, by the validation text at the end",
                     {{"model", "pool", "experts", "after", "used %", "unevenness"}}};
  for (size_t m = 0; m < comparison.models.size(); ++m)
    for (const BudgetResult &budget : comparison.budgets)
      for (const LayerUsage &layer : meanUsage(budget.runs[m]))
        table.rows.push_back({shortName(comparison.models[m].name), layer.name, std::to_string(layer.experts),
                              budget.text(), fixed(100 * layer.metrics.usage, 2), fixed(layer.metrics.unevenness, 3)});
  return table;
}

CompareTable rateTable(const Comparison &comparison) {
  CompareTable table{"Learning rates", {{"model", "group", "optimizer", "peak rate"}}};
  for (const ModelFacts &model : comparison.models)
    for (const ModelFacts::Rate &rate : model.rates)
      table.rows.push_back({shortName(model.name), rate.group,
                            rate.optimizer + (rate.lazy ? ", touched rows only" : ""), number(rate.rate)});
  return table;
}

/// Those that are not about one budget, where there is something in them.
std::vector<CompareTable> otherTables(const Comparison &comparison) {
  std::vector<CompareTable> tables{poolTable(comparison), rateTable(comparison)};
  std::erase_if(tables, [](const CompareTable &table) { return table.rows.size() < 2; });
  return tables;
}

/// The mean over seeds of a model's curve against one axis, and the area between its lowest and highest points.
template <typename Axis>
void addCurves(Chart &chart, const std::string &name, int colour, const std::vector<SeedResult> &runs, Axis axis) {
  std::vector<ChartPoint> mean, low, high;
  for (size_t i = 0;; ++i) {
    double count = 0, x = 0, y = 0, least = INFINITY, most = -INFINITY;
    for (const SeedResult &run : runs)
      if (i < run.curve.size()) {
        ++count;
        x += axis(run.curve[i]);
        y += run.curve[i].loss;
        least = std::min(least, run.curve[i].loss);
        most = std::max(most, run.curve[i].loss);
      }
    if (count == 0)
      break;
    mean.push_back({x / count, y / count});
    low.push_back({x / count, least});
    high.push_back({x / count, most});
  }
  if (runs.size() > 1) {
    low.insert(low.end(), high.rbegin(), high.rend());
    chart.series.push_back({name, colour, ChartMark::Area, std::move(low)});
  }
  chart.series.push_back({name, colour, ChartMark::Dots, std::move(mean)});
}

std::string renderCurves(const Comparison &comparison, const BudgetResult &budget, bool seconds) {
  Chart chart{concat("Validation loss ", seconds ? "by time" : "by step", ", ", budget.text()),
              {seconds ? "seconds of training" : "step", false, true},
              {"loss (nats per byte)"},
              {},
              true};
  for (size_t m = 0; m < comparison.models.size(); ++m) {
    int colour = static_cast<int>(m % (kPaletteColours - 1));
    colour += colour >= kReferenceColour;
    addCurves(chart, comparison.models[m].name, colour, budget.runs[m],
              [&](const CurvePoint &point) { return seconds ? point.seconds : static_cast<double>(point.step); });
  }
  return "<div class=\"wide\">" + renderChart(chart) + "</div>\n";
}

std::string renderTable(const CompareTable &table) {
  std::string out = "<div class=\"card wide\"><table>\n";
  for (size_t r = 0; r < table.rows.size(); ++r) {
    out += "<tr>";
    for (size_t c = 0; c < table.rows[r].size(); ++c)
      out += concat(r == 0 ? "<th" : "<td", c == 0 ? ">" : " class=\"n\">", escapeHtml(table.rows[r][c]),
                    r == 0 ? "</th>" : "</td>");
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

} // namespace

std::vector<CompareTable> compareTables(const Comparison &comparison) {
  std::vector<CompareTable> tables;
  for (const BudgetResult &budget : comparison.budgets)
    tables.push_back(resultTable(comparison, budget));
  std::vector<CompareTable> more = otherTables(comparison);
  tables.insert(tables.end(), more.begin(), more.end());
  return tables;
}

std::vector<std::string> compareNotes(const Comparison &comparison) {
  std::vector<std::string> notes{
      "loss: validation loss at the end, nats per byte, mean over seeds; spread: their standard deviation.",
      concat("The unigram entropy of the training text is ", fixed(comparison.unigramEntropy, 4), " nats per byte."),
      "active: parameters that a token uses, of a pool the rows selected for it, at most.",
      "MFLOP, kB: of the forward direction for a token, by the compiler's counts at this batch size.",
      "tokens/s: of training, time for validation and files left out."};
  if (comparison.disabledExperts > 0)
    notes.push_back(concat("top off: the same loss where each head of a token goes without its best ",
                           comparison.disabledExperts == 1 ? "expert" : concat(comparison.disabledExperts, " experts"),
                           ", and the next ones take their place."));
  for (const ModelFacts &model : comparison.models)
    if (!model.notDisabled.empty())
      notes.push_back(concat(model.name, " has no top off: ", model.notDisabled, "."));
  for (const BudgetResult &budget : comparison.budgets)
    for (size_t m = 0; m < comparison.models.size(); ++m)
      for (const SeedResult &run : budget.runs[m])
        if (!run.failure.empty())
          notes.push_back(concat(comparison.models[m].name, ", seed ", run.seed, ", ", budget.text(), ": ", run.failure,
                                 "; the run does not count in the means."));
  if (comparison.runsFinished < comparison.runsTotal)
    notes.push_back(concat("Finished so far: ", comparison.runsFinished, " of ", comparison.runsTotal, " runs."));
  return notes;
}

std::string compareMarkdown(const Comparison &comparison) {
  std::string out = "# Comparison\n\n";
  for (const auto &[name, value] : comparison.settings)
    out += concat("- ", name, ": ", value, "\n");
  for (const CompareTable &table : compareTables(comparison)) {
    out += concat("\n## ", table.title, "\n\n");
    for (size_t r = 0; r < table.rows.size(); ++r) {
      std::string line = "|", rule = "|";
      for (std::string cell : table.rows[r]) {
        for (size_t bar = 0; (bar = cell.find('|', bar)) != std::string::npos; bar += 2)
          cell.insert(bar, "\\");
        line += " " + cell + " |";
        rule += "---|";
      }
      out += line + "\n" + (r == 0 ? rule + "\n" : "");
    }
  }
  out += "\n";
  for (const std::string &note : compareNotes(comparison))
    out += note + "\n";
  return out;
}

std::string compareHtml(const Comparison &comparison) {
  std::string out;
  for (const BudgetResult &budget : comparison.budgets)
    out += "<h2>" + escapeHtml("After " + budget.text()) + "</h2>\n<div class=\"cards\">\n" +
           renderTable(resultTable(comparison, budget)) + renderCurves(comparison, budget, false) +
           renderCurves(comparison, budget, true) + "</div>\n";
  for (const CompareTable &table : otherTables(comparison))
    out += "<h2>" + escapeHtml(table.title) + "</h2>\n<div class=\"cards\">\n" + renderTable(table) + "</div>\n";
  out += "<h2>Settings</h2>\n<div class=\"cards\"><div class=\"card wide\"><table>\n";
  for (const auto &[name, value] : comparison.settings)
    out += "<tr><td>" + escapeHtml(name) + "</td><td>" + escapeHtml(value) + "</td></tr>\n";
  out += "</table>\n";
  for (const std::string &note : compareNotes(comparison))
    out += "<p>" + escapeHtml(note) + "</p>\n";
  return renderPage(concat("Comparison of ", comparison.models.size(), " models"), out + "</div></div>\n");
}

} // namespace peer::runtime
