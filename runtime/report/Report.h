// The report of a run: one HTML file with nothing outside it, to be read in any browser, light or dark.
#pragma once

#include "ReportUsage.h"
#include "lm/Log.h"

namespace peer::runtime {

/// A row of a table.
struct ReportRow {
  std::string name, value;
};

/// All that a report shows.
struct Report {
  std::string title;
  /// The metrics a reader looks for first; shown large.
  std::vector<ReportRow> headline;
  std::vector<ReportRow> settings, metrics;
  RunHistory history;
  /// The loss that a model without any context reaches at best.
  double unigramEntropy = 0.0;
  std::vector<UsagePicture> usage;
};

/// Renders the report as an HTML document.
std::string renderReport(const Report &report);

} // namespace peer::runtime
