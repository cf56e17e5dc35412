// Line charts as inline SVG.

#include "ReportChart.h"

#include "lm/Progress.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

namespace peer::runtime {
namespace {

// The drawing, in units of its viewBox, which are about one pixel.
constexpr double kHeight = 290, kWideWidth = 1100, kHalfWidth = 540;
constexpr double kLeft = 62, kRight = 26, kTop = 12, kBottom = 44;

double widthOf(const Chart &chart) { return chart.wide ? kWideWidth : kHalfWidth; }

// More points than this in one line cannot be told apart at that width.
constexpr size_t kMaxPoints = 700;

/// Maps data to the drawing along one axis.
struct Scale {
  double low = 0, high = 1, from = 0, to = 1;
  bool log = false;

  double operator()(double value) const {
    double a = log ? std::log10(low) : low, b = log ? std::log10(high) : high, v = log ? std::log10(value) : value;
    return from + (v - a) / (b - a) * (to - from);
  }
};

bool drawable(const Chart &chart, const ChartPoint &p) {
  return std::isfinite(p.x) && std::isfinite(p.y) && (!chart.x.log || p.x > 0) && (!chart.y.log || p.y > 0);
}

/// The interval an axis shows: the data's, widened to something that can be drawn.
Scale makeScale(const Chart &chart, bool vertical) {
  const ChartAxis &axis = vertical ? chart.y : chart.x;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  // Noise does not widen the y axis: one outlier would flatten the curves people want to read. Alone, it has to.
  bool onlyNoise = std::all_of(chart.series.begin(), chart.series.end(),
                               [](const ChartSeries &s) { return s.mark == ChartMark::Noise || s.points.empty(); });
  for (const ChartSeries &series : chart.series) {
    if (vertical ? series.mark == ChartMark::Noise && !onlyNoise : series.mark == ChartMark::Level)
      continue;
    for (const ChartPoint &p : series.points) {
      if (!drawable(chart, p))
        continue;
      low = std::min(low, vertical ? p.y : p.x);
      high = std::max(high, vertical ? p.y : p.x);
    }
  }
  if (!(low <= high))
    low = axis.log ? 0.1 : 0.0, high = 1.0;
  if (axis.fromZero && !axis.log)
    low = std::min(low, 0.0);
  if (axis.log) {
    // A log axis needs a decade to have two ticks.
    if (vertical || high / low < 10)
      low = std::pow(10, std::floor(std::log10(low))), high = std::pow(10, std::ceil(std::log10(high)));
    if (low == high)
      high *= 10;
  } else if (vertical) {
    double margin = high > low ? 0.06 * (high - low) : std::max(0.5 * std::fabs(high), 0.5);
    low = axis.fromZero && low == 0.0 ? 0.0 : low - margin;
    high += margin;
  } else if (low == high) {
    low -= 0.5, high += 0.5;
  }
  if (vertical)
    return {low, high, kHeight - kBottom, kTop, axis.log};
  return {low, high, kLeft, widthOf(chart) - kRight, axis.log};
}

/// Thins a series. Noise keeps the lowest and the highest point of each bucket, so its spread stays true.
std::vector<ChartPoint> thin(const std::vector<ChartPoint> &points, ChartMark mark) {
  if (points.size() <= kMaxPoints || mark == ChartMark::Dots)
    return points;
  size_t buckets = mark == ChartMark::Noise ? kMaxPoints / 2 : kMaxPoints;
  std::vector<ChartPoint> kept;
  auto less = [](const ChartPoint &a, const ChartPoint &b) { return a.y < b.y; };
  for (size_t b = 0; b < buckets; ++b) {
    auto first = points.begin() + points.size() * b / buckets,
         last = points.begin() + points.size() * (b + 1) / buckets;
    if (mark != ChartMark::Noise) {
      kept.push_back(b == 0 ? *first : *(last - 1));
      continue;
    }
    auto [lowest, highest] = std::minmax_element(first, last, less);
    kept.push_back(std::min(lowest, highest) == lowest ? *lowest : *highest);
    kept.push_back(std::min(lowest, highest) == lowest ? *highest : *lowest);
  }
  return kept;
}

std::string renderAxes(const Chart &chart, const Scale &x, const Scale &y) {
  std::string out, right = fixed(widthOf(chart) - kRight, 0);
  for (double tick : chartTicks(y.low, y.high, y.log, 6)) {
    std::string at = fixed(y(tick), 1);
    out += "<line class=\"grid\" x1=\"" + fixed(kLeft, 0) + "\" x2=\"" + right + "\" y1=\"" + at + "\" y2=\"" + at +
           "\"/>";
    out += "<text class=\"tick\" text-anchor=\"end\" x=\"" + fixed(kLeft - 8, 0) + "\" y=\"" + fixed(y(tick) + 4, 1) +
           "\">" + chartNumber(tick) + "</text>\n";
  }
  for (double tick : chartTicks(x.low, x.high, x.log, chart.wide ? 12 : 8)) {
    std::string at = fixed(x(tick), 1);
    out += "<line class=\"axis\" x1=\"" + at + "\" x2=\"" + at + "\" y1=\"" + fixed(kHeight - kBottom, 0) + "\" y2=\"" +
           fixed(kHeight - kBottom + 5, 0) + "\"/>";
    out += "<text class=\"tick\" text-anchor=\"middle\" x=\"" + at + "\" y=\"" + fixed(kHeight - kBottom + 18, 0) +
           "\">" + chartNumber(tick) + "</text>\n";
  }
  out += "<line class=\"axis\" x1=\"" + fixed(kLeft, 0) + "\" x2=\"" + right + "\" y1=\"" +
         fixed(kHeight - kBottom, 0) + "\" y2=\"" + fixed(kHeight - kBottom, 0) + "\"/>";
  out += "<text class=\"label\" text-anchor=\"middle\" x=\"" + fixed((kLeft + widthOf(chart) - kRight) / 2, 0) +
         "\" y=\"" + fixed(kHeight - 6, 0) + "\">" + escapeHtml(chart.x.label) + "</text>";
  std::string middle = fixed((kTop + kHeight - kBottom) / 2, 0);
  out += "<text class=\"label\" text-anchor=\"middle\" x=\"14\" y=\"" + middle + "\" transform=\"rotate(-90 14 " +
         middle + ")\">" + escapeHtml(chart.y.label) + "</text>\n";
  return out;
}

std::string renderSeries(const Chart &chart, const ChartSeries &series, const Scale &x, const Scale &y) {
  std::vector<ChartPoint> points;
  for (const ChartPoint &p : series.points)
    if (drawable(chart, p))
      points.push_back(p);
  if (points.empty())
    return "";
  std::string colour = "c" + std::to_string(series.colour);
  if (series.mark == ChartMark::Level) {
    std::string at = fixed(y(points.front().y), 1);
    return "<line class=\"level " + colour + "\" x1=\"" + fixed(kLeft, 0) + "\" x2=\"" +
           fixed(widthOf(chart) - kRight, 0) + "\" y1=\"" + at + "\" y2=\"" + at + "\"/>\n";
  }
  if (series.mark == ChartMark::Area) {
    std::string out = "<polygon class=\"area " + colour + "\" points=\"";
    for (const ChartPoint &p : points)
      out += fixed(x(p.x), 1) + "," + fixed(y(p.y), 1) + " ";
    return out + "\"/>\n";
  }
  points = thin(points, series.mark);
  std::string out = std::string("<polyline class=\"") + (series.mark == ChartMark::Noise ? "noise " : "line ") +
                    colour + "\" points=\"";
  for (const ChartPoint &p : points)
    out += fixed(x(p.x), 1) + "," + fixed(y(p.y), 1) + " ";
  out += "\"/>\n";
  // One point makes no line, so it is shown as a dot whatever the mark.
  if (series.mark == ChartMark::Dots || points.size() == 1)
    for (const ChartPoint &p : points)
      out += "<circle class=\"dot " + colour + "\" cx=\"" + fixed(x(p.x), 1) + "\" cy=\"" + fixed(y(p.y), 1) +
             "\" r=\"3.5\"><title>" + escapeHtml(chart.x.label) + " " + chartNumber(p.x) + ": " + fixed(p.y, 4) +
             "</title></circle>\n";
  return out;
}

std::string renderLegend(const Chart &chart) {
  std::string out = "<div class=\"legend\">";
  for (const ChartSeries &series : chart.series) {
    if (series.mark == ChartMark::Area)
      continue;
    const char *mark = series.mark == ChartMark::Noise ? "noise" : series.mark == ChartMark::Level ? "level" : "line";
    std::string colour = "c" + std::to_string(series.colour);
    out += "<span><svg class=\"key\" viewBox=\"0 0 26 10\" aria-hidden=\"true\"><line class=\"" + std::string(mark) +
           " " + colour + "\" x1=\"0\" x2=\"26\" y1=\"5\" y2=\"5\"/>";
    if (series.mark == ChartMark::Dots)
      out += "<circle class=\"dot " + colour + "\" cx=\"13\" cy=\"5\" r=\"3.5\"/>";
    out += "</svg>" + escapeHtml(series.name) + "</span>";
  }
  return out + "</div>";
}

} // namespace

std::string renderChart(const Chart &chart) {
  Scale x = makeScale(chart, false), y = makeScale(chart, true);
  // The clip path needs an id of its own in a document with several charts; titles are unique in a report.
  std::string id = "clip-" + std::to_string(std::hash<std::string>{}(chart.title));
  std::string out = "<figure class=\"card\"><figcaption>" + escapeHtml(chart.title) + "</figcaption>\n" +
                    renderLegend(chart) + "\n<svg class=\"chart\" viewBox=\"0 0 " + fixed(widthOf(chart), 0) + " " +
                    fixed(kHeight, 0) + "\" role=\"img\" aria-label=\"" + escapeHtml(chart.title) + "\">\n" +
                    "<clipPath id=\"" + id + "\"><rect x=\"" + fixed(kLeft, 0) + "\" y=\"" + fixed(kTop - 6, 0) +
                    "\" width=\"" + fixed(widthOf(chart) - kLeft - kRight + 6, 0) + "\" height=\"" +
                    fixed(kHeight - kTop - kBottom + 6, 0) + "\"/></clipPath>\n" + renderAxes(chart, x, y) +
                    "<g clip-path=\"url(#" + id + ")\">\n";
  for (const ChartSeries &series : chart.series)
    out += renderSeries(chart, series, x, y);
  return out + "</g></svg></figure>\n";
}

std::vector<double> chartTicks(double low, double high, bool log, int count) {
  std::vector<double> ticks;
  if (!(low < high) || count < 1)
    return ticks;
  if (log) {
    int first = static_cast<int>(std::ceil(std::log10(low) - 1e-9)),
        last = static_cast<int>(std::floor(std::log10(high) + 1e-9));
    int stride = std::max(1, (last - first) / count + ((last - first) % count != 0));
    for (int e = first; e <= last; e += stride)
      ticks.push_back(std::pow(10.0, e));
    return ticks;
  }
  double raw = (high - low) / count, power = std::pow(10.0, std::floor(std::log10(raw))), step = power * 10;
  for (double m : {1.0, 2.0, 5.0})
    if (power * m >= raw) {
      step = power * m;
      break;
    }
  // Counting in whole steps keeps a tick at zero exactly zero.
  for (double k = std::ceil(low / step - 1e-9); k <= std::floor(high / step + 1e-9); ++k)
    ticks.push_back(k * step + 0.0);
  return ticks;
}

std::string chartNumber(double value) {
  double size = std::fabs(value);
  char text[32];
  if (size != 0 && (size < 1e-4 || size >= 1e15))
    std::snprintf(text, sizeof(text), "%.3g", value);
  else if (size >= 1e6)
    std::snprintf(text, sizeof(text), "%.4gM", value / 1e6);
  else if (size >= 1e4)
    std::snprintf(text, sizeof(text), "%.5gk", value / 1e3);
  else if (size >= 1e3 && value == std::floor(value))
    std::snprintf(text, sizeof(text), "%d,%03d", static_cast<int>(value / 1e3), static_cast<int>(std::fmod(size, 1e3)));
  else
    std::snprintf(text, sizeof(text), "%.4g", value);
  return text;
}

std::string escapeHtml(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
    case '&':
      out += "&amp;";
      break;
    case '<':
      out += "&lt;";
      break;
    case '>':
      out += "&gt;";
      break;
    case '"':
      out += "&quot;";
      break;
    default:
      out += c;
    }
  }
  return out;
}

} // namespace peer::runtime
