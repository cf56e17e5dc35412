// The log of a run, and what a person sees of it.

#include "FakeLanguageModel.h"

#include "lm/Log.h"
#include "lm/Progress.h"

#include <fstream>
#include <gtest/gtest.h>

using namespace peer::runtime;

namespace {

TEST(LogTest, ResumeCutsWhatComesLater) {
  TemporaryFolder directory;
  std::string path = directory / "log.jsonl";
  {
    Result<RunLog> log = RunLog::create(path, "{\"seed\": 1}");
    ASSERT_TRUE(log.ok()) << log.message();
    for (int64_t step = 1; step <= 4; ++step)
      ASSERT_TRUE(log->append(StepRecord{step, 1.0 / step, 10, {{"default", 0.1}}, {}}).ok());
    ASSERT_TRUE(log->append(EvalRecord{4, 0.5, 64, {{"layer", 9, {0.5, 0.25}}}}).ok());
    ASSERT_TRUE(log->append(StepRecord{5, 0.1, 10, {}, {}}).ok());
  }
  std::ofstream(path, std::ios::app) << "{\"step\": 6, \"lo"; // killed in the middle of a line
  ASSERT_TRUE(RunLog::resume(path, 5).ok());
  EXPECT_EQ(readLog(path)->steps.size(), 5u);
  {
    Result<RunLog> log = RunLog::resume(path, 4);
    ASSERT_TRUE(log.ok());
    ASSERT_TRUE(log->append(StepRecord{5, 0.7, 10, {}, {{"default", 2.0}}}).ok());
  }
  Result<RunHistory> history = readLog(path);
  ASSERT_EQ(history->steps.size(), 5u);
  EXPECT_EQ(history->steps[4].loss, 0.7);
  EXPECT_EQ(history->steps[4].gradientNorms.at("default"), 2.0);
  EXPECT_EQ(history->steps[3].learningRates.at("default"), 0.1);
  ASSERT_EQ(history->evaluations.size(), 1u);
  EXPECT_EQ(history->evaluations[0].layers[0].metrics.unevenness, 0.25);
  EXPECT_NEAR(history->evaluations[0].bitsPerByte(), 0.7213, 1e-4);
}

TEST(LogTest, UnwritablePath) {
  EXPECT_EQ(RunLog::create("/nowhere/log.jsonl", "{}").message(),
            "cannot write /nowhere/log.jsonl: No such file or directory");
  EXPECT_EQ(RunLog::create("/dev/full", "{}").message(), "cannot write /dev/full: No space left on device");
}

TEST(ProgressTest, Formats) {
  EXPECT_EQ(formatProgress({120, 800, 2.4131, 5210.4, 85}, false),
            "step 120/800  loss 2.413  5,210 tokens/s  1:25 left");
  EXPECT_EQ(formatDuration(11100), "3:05:00");
  EXPECT_EQ(formatDuration(59.6), "1:00");
  EXPECT_EQ(formatCount(1048576), "1,048,576");
  EXPECT_EQ(formatCount(999), "999");
}

TEST(ProgressTest, ALiveLineIsRedrawnAndMessagesStandAlone) {
  std::string out;
  Progress::Options options;
  options.live = true;
  options.columns = 20;
  Progress progress([&](std::string_view text) { out += text; }, options);
  progress.update({1, 2, 3.0, 4, 5}, true);
  progress.say("saved");
  progress.update({2, 2, 3.0, 4, 0}, true);
  progress.finish();
  EXPECT_EQ(out, "\rstep 1/2  loss 3.00\x1b[K\r\x1b[Ksaved\n\rstep 2/2  loss 3.00\x1b[K\n");
}

} // namespace
