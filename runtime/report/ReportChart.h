// Line charts as inline SVG.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace peer::runtime {

struct ChartPoint {
  double x = 0.0;
  double y = 0.0;
};

/// How a series is drawn.
enum class ChartMark {
  Noise, // a thin faint line behind the others; may leave the plot, does not widen the y axis
  Line,
  Dots,  // a line with a dot on each point
  Area,  // what a closed line surrounds, behind the others; not in the legend
  Level, // a dashed horizontal line at the first point's y
};

struct ChartSeries {
  std::string name;
  /// Index into the report's palette, the CSS classes c0, c1, ...
  int colour = 0;
  ChartMark mark = ChartMark::Line;
  std::vector<ChartPoint> points;
};

struct ChartAxis {
  std::string label;
  bool log = false;
  /// Whether the axis has to start at zero.
  bool fromZero = false;
};

struct Chart {
  std::string title;
  ChartAxis x, y;
  std::vector<ChartSeries> series;
  /// As wide as the page, for long runs; otherwise as wide as half of it. Letters have about the same size in both.
  bool wide = false;
};

/// Renders a chart with its title, legend, axes and ticks as an HTML figure. Points that cannot be drawn (not finite, or
/// not above zero on a log axis) are left out, and long series are thinned to what a screen can show.
std::string renderChart(const Chart &chart);

/// Places of ticks inside [low, high]: about `count` multiples of 1, 2 or 5 times a power of ten; decades on a log axis.
std::vector<double> chartTicks(double low, double high, bool log, int count);

/// Writes a number as a tick or a table shows it: `1,200`, `25k`, `3M`, `0.05`, `1e-7`.
std::string chartNumber(double value);

/// Escapes text for HTML and SVG.
std::string escapeHtml(std::string_view text);

} // namespace peer::runtime
