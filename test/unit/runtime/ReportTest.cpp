// The report: its charts, its pictures, and that nothing outside the file is needed.

#include "report/Report.h"

#include "report/Image.h"
#include "report/ReportChart.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace peer::runtime;

namespace {

TEST(ReportTest, Ticks) {
  EXPECT_EQ(chartTicks(0, 10, false, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(chartTicks(0.011, 0.049, false, 4), (std::vector<double>{0.02, 0.03, 0.04}));
  EXPECT_EQ(chartTicks(0.01, 100, true, 6), (std::vector<double>{0.01, 0.1, 1, 10, 100}));
  EXPECT_TRUE(chartTicks(1, 1, false, 5).empty());
  EXPECT_EQ(chartNumber(1200), "1,200");
  EXPECT_EQ(chartNumber(25000), "25k");
  EXPECT_EQ(chartNumber(3e6), "3M");
  EXPECT_EQ(chartNumber(0.05), "0.05");
}

TEST(ReportTest, Base64) {
  EXPECT_EQ(encodeBase64(""), "");
  EXPECT_EQ(encodeBase64("M"), "TQ==");
  EXPECT_EQ(encodeBase64("Ma"), "TWE=");
  EXPECT_EQ(encodeBase64("Man"), "TWFu");
}

TEST(ReportTest, PngOfALargeGrid) {
  std::vector<std::array<uint8_t, 3>> palette{{0, 0, 0}, {255, 0, 0}};
  std::string png = encodePng(std::vector<uint8_t>(1024 * 1024, 1), 1024, 1024, palette);
  EXPECT_EQ(png.substr(0, 8), "\x89PNG\r\n\x1a\n");
  EXPECT_TRUE(encodePng({}, 0, 0, palette).empty());
}

TEST(ReportTest, ChartsSurviveWhatCannotBeDrawn) {
  ChartSeries odd{"<odd>", 0, ChartMark::Line, {{1, NAN}, {2, INFINITY}, {3, 0}, {4, 5}}};
  std::string svg = renderChart({"t", {"x", true}, {"y", true}, {odd}});
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
  EXPECT_NE(svg.find("&lt;odd&gt;"), std::string::npos);
  EXPECT_NE(renderChart({"empty", {"x"}, {"y"}, {}}).find("</svg>"), std::string::npos);
}

TEST(ReportTest, AnAreaIsBehindTheLegend) {
  std::string svg =
      renderChart({"t", {"x"}, {"y"}, {{"spread", 7, ChartMark::Area, {{0, 1}, {1, 2}, {1, 3}, {0, 2}}}}});
  EXPECT_NE(svg.find("<polygon class=\"area c7\""), std::string::npos);
  EXPECT_EQ(svg.find("spread"), std::string::npos);
}

TEST(ReportTest, IsOneSelfContainedFile) {
  Report report;
  report.title = "a <title>";
  report.unigramEntropy = 3.1;
  report.settings = {{"data", "x & y"}};
  for (int64_t step = 1; step <= 5000; ++step)
    report.history.steps.push_back({step, 5.0 / std::sqrt(static_cast<double>(step)), 1000, {}, {}});
  report.history.evaluations = {{2500, 2.0, 64, {{"grid", 16, {1, 0.1}}}}, {5000, 1.5, 64, {{"grid", 16, {1, 0.2}}}}};
  std::vector<double> mass(16, 1.0), none(16);
  mass[3] = 0;
  report.usage = {{"grid", mass, std::array<int64_t, 2>{4, 4}}, {"flat", mass, {}}, {"none", none, {}}};
  std::string html = renderReport(report);
  for (const char *piece : {"a &lt;title&gt;", "x &amp; y", "data:image/png;base64,", "Throughput", "unigram entropy",
                            "no gate mass", "prefers-color-scheme"})
    EXPECT_NE(html.find(piece), std::string::npos) << piece;
  EXPECT_EQ(html.find("http"), std::string::npos);
  EXPECT_LT(html.size(), 200000u); // thousands of steps are thinned
}

} // namespace
