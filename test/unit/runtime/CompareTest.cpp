// Comparisons: their numbers, their pages, and what models that diverge do to the others.

#include "TrainTestSupport.h"

#include "lm/compare/Compare.h"
#include "report/CompareReport.h"

using namespace peer::runtime;

namespace {

SeedResult result(double loss, std::string failure = "") {
  SeedResult run;
  run.loss = loss;
  run.layers = {{"pool", 16, {loss / 10, loss}}};
  run.curve = {{10, 0.5, loss + 1}, {20, 1.0, loss}};
  run.failure = std::move(failure);
  return run;
}

std::optional<double> lossOf(const SeedResult &run) { return run.loss; }

TEST(CompareTest, SpreadOverSeeds) {
  Spread spread = spreadOf(std::vector{result(1), result(2), result(4), result(1000, "diverged")}, lossOf);
  EXPECT_EQ(spread.count, 3u);
  EXPECT_DOUBLE_EQ(spread.mean, 7.0 / 3);
  EXPECT_NEAR(*spread.deviation, std::sqrt(7.0 / 3), 1e-12);
  EXPECT_FALSE(spreadOf(std::vector{result(1)}, lossOf).deviation);
  EXPECT_EQ(spreadOf(std::vector{result(1, "diverged")}, lossOf).count, 0u);
  std::vector<LayerUsage> usage = meanUsage({result(1), result(9, "diverged"), result(2), result(6)});
  ASSERT_EQ(usage.size(), 1u);
  EXPECT_DOUBLE_EQ(usage[0].metrics.usage, 0.3);
  EXPECT_DOUBLE_EQ(usage[0].metrics.unevenness, 3);
}

TEST(CompareTest, AResultIsReadAsItWasWritten) {
  SeedResult run = result(1.0 / 3);
  run.seed = uint64_t{1} << 60;
  std::optional<SeedResult> read = parseResult(resultJson(run));
  ASSERT_TRUE(read);
  EXPECT_EQ(resultJson(*read), resultJson(run));
  EXPECT_EQ(parseResult(resultJson(result(1, "why")))->failure, "why");
  EXPECT_FALSE(parseResult("{}"));
  EXPECT_FALSE(parseResult(resultJson(run).substr(0, 60)));
}

TEST(CompareTest, WhatAnArtifactDoesNotSayIsADash) {
  Manifest manifest;
  manifest.parameters = {{"w", DType::F32, {1000, 50}, "default", true, {}}};
  Entry loss;
  loss.kind = EntryKind::Loss;
  manifest.entries = {loss};
  Comparison comparison;
  comparison.models = {describeModel(manifest, {}, 64)};
  comparison.budgets = {{20, {}, {{result(2), result(3)}}}};
  EXPECT_EQ(compareTables(comparison)[0].rows[1],
            (std::vector<std::string>{"", "0.05", "-", "-", "-", "0", "2.5000", "0.7071"}));
  manifest.entries[0].activeParameters = 25000;
  manifest.entries[0].kernels = {{"a", {640, 10}, {128, 4}}, {"b", {0, 20}, {0, 6}}};
  comparison.models = {describeModel(manifest, {}, 64)};
  EXPECT_EQ(compareTables(comparison)[0].rows[1],
            (std::vector<std::string>{"", "0.05", "0.025", "1.2e-05", "0.04", "0", "2.5000", "0.7071"}));
}

TEST(CompareTest, ThePageIsSelfContained) {
  Comparison comparison;
  comparison.models.resize(2);
  comparison.models[0].name = "a <name>|bar";
  comparison.models[1].name = "b";
  comparison.settings = {{"data", "x & y"}};
  comparison.budgets = {{{}, 60.0, {{result(2), result(3)}, {result(0, "the loss is nan at step 3")}}}};
  std::string html = compareHtml(comparison), markdown = compareMarkdown(comparison);
  for (const char *piece : {"a &lt;name&gt;", "x &amp; y", "Validation loss by time, 60 seconds", "<polygon",
                            "diverged", "b, seed 0, 60 seconds: the loss is nan at step 3"})
    EXPECT_NE(html.find(piece), std::string::npos) << piece;
  EXPECT_EQ(html.find("http"), std::string::npos);
  EXPECT_NE(markdown.find("| a <name>\\|bar | 0 | - "), std::string::npos) << markdown;
}

class CompareRunTest : public TrainFixture {
protected:
  CompareOptions compared() {
    CompareOptions o;
    std::string other = directory / "other.peer";
    std::filesystem::copy_file(fakeLanguageModel(), other);
    o.models = {{fakeLanguageModel(), fakeLanguageModel()}, {other, other}};
    o.common = options("", 0);
    o.steps = 20;
    o.seeds = 2;
    o.out = directory / "compared";
    return o;
  }
};

TEST_F(CompareRunTest, EqualModelsLearnTheSameWhateverTheirOrder) {
  CompareOptions o = compared();
  Progress silent;
  int64_t shown = 0;
  Result<Comparison> byTurns = compareModels(o, silent, {{}, [&](const Comparison &) {
                                                           ++shown;
                                                           return Status();
                                                         }});
  ASSERT_OK(byTurns);
  EXPECT_EQ(shown, 2);
  EXPECT_EQ(byTurns->runsFinished, 4);
  const std::vector<std::vector<SeedResult>> &runs = byTurns->budgets[0].runs;
  EXPECT_EQ(runs[0][0].loss, runs[1][0].loss);
  EXPECT_NE(runs[0][0].loss, runs[0][1].loss);
  EXPECT_EQ(runs[0][1].seed, 8u);
  // What `train` makes of it.
  TrainOptions plain = options("plain", 20);
  Result<TrainSummary> summary = run(plain);
  ASSERT_OK(summary);
  EXPECT_EQ(summary->validation.loss, runs[0][0].loss);
  o.oneByOne = true;
  o.out = directory / "one-by-one";
  Result<Comparison> oneByOne = compareModels(o, silent, {});
  ASSERT_OK(oneByOne);
  EXPECT_EQ(oneByOne->budgets[0].runs[1][1].loss, runs[1][1].loss);
  // A seed more: the runs that are there stay.
  o.resume = true;
  o.seeds = 3;
  Result<Comparison> more = compareModels(o, silent, {});
  ASSERT_OK(more);
  EXPECT_EQ(more->budgets[0].runs[0].size(), 3u);
  EXPECT_EQ(more->budgets[0].runs[0][0].loss, runs[0][0].loss);
}

TEST_F(CompareRunTest, ATimeEndsARun) {
  CompareOptions o = compared();
  o.steps.reset();
  o.seconds = 0.05;
  o.seeds = 1;
  Progress silent;
  Result<Comparison> comparison = compareModels(o, silent, {});
  ASSERT_OK(comparison);
  const SeedResult &run = comparison->budgets[0].runs[0][0];
  EXPECT_GE(run.seconds, 0.05);
  EXPECT_GT(run.steps, 0);
  ASSERT_FALSE(run.curve.empty());
  EXPECT_EQ(run.curve.back().step, run.steps);
  EXPECT_NEAR(run.curve.back().seconds, run.seconds, 1e-6);
}

TEST_F(CompareRunTest, AModelThatDivergesIsAResult) {
  CompareOptions o = compared();
  o.common.groupRates["default"] = 1000;
  o.common.schedule = ScheduleKind::Constant;
  Progress silent;
  Result<Comparison> comparison = compareModels(o, silent, {});
  ASSERT_OK(comparison);
  EXPECT_EQ(comparison->runsFinished, 4);
  EXPECT_EQ(comparison->budgets[0].runs[1][1].failure, "the loss is nan at step 3");
  EXPECT_EQ(compareTables(*comparison)[0].rows[1][6], "diverged");
}

TEST_F(CompareRunTest, ADamagedResultIsNamed) {
  CompareOptions o = compared();
  Progress silent;
  ASSERT_OK(compareModels(o, silent, {}));
  std::string name = std::filesystem::path(fakeLanguageModel()).stem();
  std::string path = concat(o.out, "/runs/1-", name, "-steps-seed7/result.json");
  ASSERT_OK(writeFile(path, "{"));
  o.resume = true;
  EXPECT_EQ(compareModels(o, silent, {}).message(), path + " is damaged: expected the result of a run with seed 7; "
                                                           "without the file the run is made again");
  std::filesystem::remove(path);
  EXPECT_OK(compareModels(o, silent, {}));
}

} // namespace
