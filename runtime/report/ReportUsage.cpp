// Pictures of how a layer uses its experts.

#include "ReportUsage.h"

#include "Image.h"
#include "ReportChart.h"
#include "lm/Progress.h"
#include "lm/UsageMetrics.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace peer::runtime {
namespace {

using Colour = std::array<uint8_t, 3>;

// Palette index 0: an expert that got nothing. Log 0 is on no scale, so its hue is none of the scale's.
constexpr Colour kUnused{66, 98, 100};
constexpr int kLevels = 255;

/// A dark-to-bright scale whose lightness rises evenly (after "inferno"), so that it can be read without colour vision.
Colour scaleColour(double t) {
  static constexpr std::array<Colour, 9> kStops{{{20, 11, 52},
                                                 {58, 9, 99},
                                                 {96, 19, 110},
                                                 {133, 33, 107},
                                                 {169, 46, 94},
                                                 {203, 65, 73},
                                                 {230, 93, 47},
                                                 {247, 131, 17},
                                                 {252, 224, 110}}};
  double at = std::clamp(t, 0.0, 1.0) * (kStops.size() - 1);
  size_t low = std::min(static_cast<size_t>(at), kStops.size() - 2);
  Colour colour;
  for (int c = 0; c < 3; ++c)
    colour[c] = static_cast<uint8_t>(std::lround(kStops[low][c] + (at - low) * (kStops[low + 1][c] - kStops[low][c])));
  return colour;
}

std::string hex(const Colour &colour) {
  char text[8];
  std::snprintf(text, sizeof(text), "#%02x%02x%02x", colour[0], colour[1], colour[2]);
  return text;
}

/// The decades of "times even use" that the colours span: all of the data's, but at most six, the upper ones.
struct LogRange {
  int low = -1, high = 1;
};

LogRange rangeOf(std::span<const double> mass, double even) {
  double least = INFINITY, most = 0;
  for (double m : mass)
    if (m > 0 && std::isfinite(m))
      least = std::min(least, m), most = std::max(most, m);
  if (most == 0)
    return {};
  LogRange range{static_cast<int>(std::floor(std::log10(least / even))),
                 static_cast<int>(std::ceil(std::log10(most / even)))};
  range.low = std::max(std::min(range.low, range.high - 1), range.high - 6);
  return range;
}

/// "0.001x" ... "even" ... "1,000x".
std::string timesText(int decade) { return decade == 0 ? "even use" : chartNumber(std::pow(10.0, decade)) + "\u00d7"; }

std::string renderScale(LogRange range) {
  std::string out = "<svg class=\"scale\" viewBox=\"0 0 420 44\" role=\"img\" aria-label=\"colour scale\">";
  constexpr double kFrom = 100, kTo = 396, kCells = 74;
  out += "<rect x=\"2\" y=\"4\" width=\"14\" height=\"14\" fill=\"" + hex(kUnused) +
         "\" stroke=\"var(--axis)\"/><text class=\"tick\" x=\"22\" y=\"15\">not used</text>";
  for (int i = 0; i < kCells; ++i)
    out += "<rect x=\"" + std::to_string(kFrom + i * (kTo - kFrom) / kCells) +
           "\" y=\"4\" width=\"4.2\" height=\"14\" shape-rendering=\"crispEdges\" fill=\"" +
           hex(scaleColour((i + 0.5) / kCells)) + "\"/>";
  int stride = range.high - range.low > 4 ? 2 : 1;
  for (int decade = range.low; decade <= range.high; ++decade) {
    double at = kFrom + (kTo - kFrom) * (decade - range.low) / (range.high - range.low);
    out += "<line class=\"axis\" x1=\"" + std::to_string(at) + "\" x2=\"" + std::to_string(at) +
           "\" y1=\"18\" y2=\"23\"/>";
    if ((decade - range.high) % stride == 0 || decade == 0)
      out += "<text class=\"tick\" text-anchor=\"middle\" x=\"" + std::to_string(at) + "\" y=\"37\">" +
             timesText(decade) + "</text>";
  }
  return out + "</svg>";
}

std::string renderGrid(const UsagePicture &picture, double total) {
  auto [rows, columns] = *picture.grid;
  double even = total / static_cast<double>(picture.mass.size());
  LogRange range = rangeOf(picture.mass, even);
  std::vector<Colour> palette{kUnused};
  for (int level = 0; level < kLevels; ++level)
    palette.push_back(scaleColour(level / (kLevels - 1.0)));
  std::vector<uint8_t> pixels(picture.mass.size(), 0);
  for (size_t i = 0; i < pixels.size(); ++i) {
    if (!(picture.mass[i] > 0))
      continue;
    double t = (std::log10(picture.mass[i] / even) - range.low) / (range.high - range.low);
    pixels[i] = static_cast<uint8_t>(1 + std::lround(std::clamp(t, 0.0, 1.0) * (kLevels - 1)));
  }
  std::string png = encodePng(pixels, columns, rows, palette);
  std::string last = formatCount(static_cast<double>(columns - 1)),
              lastRow = formatCount(static_cast<double>(rows - 1));
  return "<div class=\"gridbox\"><span class=\"rows\"><span>" + lastRow +
         "</span><span>first key</span><span>0</span></span><img class=\"usage\" alt=\"gate mass per expert of " +
         escapeHtml(picture.layer) + "\" src=\"data:image/png;base64," + encodeBase64(png) +
         "\"><span class=\"columns\"><span>0</span><span>second key</span><span>" + last + "</span></span></div>\n" +
         renderScale(range);
}

/// Shares in falling order: how much of the layer's work its busiest experts do.
std::string renderSorted(const UsagePicture &picture, double total) {
  std::vector<double> sorted;
  for (double m : picture.mass)
    if (m > 0)
      sorted.push_back(m);
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  bool many = picture.mass.size() > 64;
  ChartSeries shares{"share of an expert", 0, many ? ChartMark::Line : ChartMark::Dots, {}};
  for (size_t i = 0; i < sorted.size(); ++i)
    shares.points.push_back({static_cast<double>(i + 1), 100.0 * sorted[i] / total});
  ChartSeries even{"even use", 2, ChartMark::Level, {{1.0, 100.0 / static_cast<double>(picture.mass.size())}}};
  return renderChart({"Gate mass by rank: " + picture.layer,
                      {"rank of the expert", many},
                      {"share of gate mass (%)", true},
                      {shares, even}});
}

} // namespace

std::string renderUsage(const UsagePicture &picture) {
  double total = 0;
  for (double m : picture.mass)
    total += m > 0 ? m : 0;
  UsageMetrics metrics = computeUsageMetrics(picture.mass);
  char text[160];
  std::snprintf(text, sizeof(text), "%s experts, %.2f %% used, unevenness %.3f nats",
                formatCount(static_cast<double>(picture.mass.size())).c_str(), 100 * metrics.usage, metrics.unevenness);
  if (!(total > 0) || !std::isfinite(total))
    return "<figure class=\"card\"><figcaption>" + escapeHtml(picture.layer) + "</figcaption><p>" + text +
           ": no gate mass was recorded.</p></figure>\n";
  bool fits = picture.grid && (*picture.grid)[0] * (*picture.grid)[1] == static_cast<int64_t>(picture.mass.size());
  if (!fits)
    return renderSorted(picture, total);
  return "<figure class=\"card\"><figcaption>" + escapeHtml(picture.layer) + "</figcaption><p>" + text + "</p>\n" +
         renderGrid(picture, total) + "</figure>\n";
}

} // namespace peer::runtime
