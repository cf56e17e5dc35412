// The training loop on a model made by hand: exact resume, safety against kills, and every way a run can go wrong.

#include "TrainTestSupport.h"

#include "lm/Checkpoint.h"

#include <csignal>
#include <cstring>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace peer::runtime;

namespace {

class TrainTest : public TrainFixture {
protected:
  /// The tensors of the last checkpoint are equal, bit for bit.
  static void expectSameCheckpoint(const std::string &a, const std::string &b) {
    Result<TensorMap> left = readSafetensors(a), right = readSafetensors(b);
    ASSERT_TRUE(left.ok() && right.ok()) << left.message() << right.message();
    ASSERT_EQ(left->size(), 4u);
    for (const auto &[name, tensor] : *left)
      EXPECT_EQ(std::memcmp(tensor.data(), right->at(name).data(), tensor.bytes()), 0) << name;
  }
};

TEST_F(TrainTest, LearnsBelowTheUnigramEntropy) {
  Result<TrainSummary> summary = run(options("run", 200));
  ASSERT_TRUE(summary.ok()) << summary.message();
  EXPECT_LT(summary->validation.loss, summary->unigramEntropy - 0.5);
  ASSERT_EQ(summary->validation.layers.size(), 1u);
  EXPECT_GT(summary->validation.layers[0].metrics.usage, 0.5);
  EXPECT_EQ(listCheckpoints(directory / "run")->size(), kKeptCheckpoints);
  EXPECT_NE(bytes(summary->report).find("data:image/png;base64,"), std::string::npos);
  Result<RunHistory> history = readLog(summary->log);
  ASSERT_TRUE(history.ok());
  EXPECT_EQ(history->steps.size(), 200u);
  EXPECT_EQ(history->evaluations.size(), 40u);
  EXPECT_NEAR(history->steps.back().learningRates.at("default"), 0.5, 1e-9); // a tenth of the default, 5
  EXPECT_GT(history->steps.back().gradientNorms.at("default"), 0.0);
}

TEST_F(TrainTest, ResumeIsBitwiseAnUninterruptedRun) {
  ASSERT_TRUE(run(options("whole", 20)).ok());
  // Stopped after some step that is neither a save nor an evaluation.
  Result<TrainSummary> stopped = run(options("parts", 20), 30);
  ASSERT_TRUE(stopped.ok()) << stopped.message();
  ASSERT_TRUE(stopped->interrupted);
  ASSERT_LT(stopped->step, 20);
  TrainOptions rest = options("parts", 20);
  rest.resume = true;
  ASSERT_TRUE(run(rest).ok());
  expectSameCheckpoint(checkpointPath(directory / "whole", 20), checkpointPath(directory / "parts", 20));
  EXPECT_EQ(bytes(directory / "whole/weights.safetensors"), bytes(directory / "parts/weights.safetensors"));
  EXPECT_EQ(readLog(directory / "parts/log.jsonl")->steps.size(), 20u);
}

TEST_F(TrainTest, AKilledRunKeepsEachCheckpointItReported) {
  TrainOptions o = options("killed", 60);
  o.saveEvery = 1;
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  fakeLanguageModel();
  pid_t child = fork();
  if (child == 0) {
    Progress progress([&](std::string_view text) { (void)!write(pipe[1], text.data(), text.size()); }, {});
    (void)train(o, progress, {}).ok();
    _exit(0);
  }
  close(pipe[1]);
  std::string seen;
  char buffer[256];
  while (seen.find("checkpoint-12.") == std::string::npos) {
    ssize_t got = read(pipe[0], buffer, sizeof(buffer));
    ASSERT_GT(got, 0);
    seen.append(buffer, got);
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(pipe[0]);

  std::vector<CheckpointFile> files = *listCheckpoints(o.out);
  ASSERT_FALSE(files.empty());
  EXPECT_GE(files.front().step, 12);
  EXPECT_TRUE(readSafetensors(files.front().path).ok());
  o.resume = true;
  ASSERT_TRUE(run(o).ok());
  ASSERT_TRUE(run(options("whole", 60)).ok());
  expectSameCheckpoint(checkpointPath(o.out, 60), checkpointPath(directory / "whole", 60));
}

TEST_F(TrainTest, ANewestCheckpointThatIsDamagedIsPassedOver) {
  ASSERT_TRUE(run(options("run", 10)).ok());
  std::filesystem::resize_file(checkpointPath(directory / "run", 10), 1000);
  TrainOptions o = options("run", 10);
  o.resume = true;
  ASSERT_TRUE(run(o).ok());
  ASSERT_TRUE(run(options("whole", 10)).ok());
  expectSameCheckpoint(checkpointPath(o.out, 10), checkpointPath(directory / "whole", 10));
}

TEST_F(TrainTest, ALossThatIsNoNumberStopsTheRun) {
  TrainOptions o = options("nan", 10);
  o.learningRate = 1000;
  o.warmup = 1;
  o.schedule = ScheduleKind::Constant;
  o.saveEvery = 2;
  Result<TrainSummary> summary = run(o);
  ASSERT_FALSE(summary.ok());
  EXPECT_NE(summary.message().find("the loss is nan at step 3"), std::string::npos) << summary.message();
  EXPECT_NE(summary.message().find("the last good checkpoint is " + checkpointPath(o.out, 2)), std::string::npos)
      << summary.message();
  ASSERT_EQ(listCheckpoints(o.out)->size(), 1u);
  EXPECT_EQ(listCheckpoints(o.out)->at(0).step, 2);
}

TEST_F(TrainTest, RefusesToMixRuns) {
  ASSERT_TRUE(run(options("run", 5)).ok());
  EXPECT_NE(run(options("run", 5)).message().find("already holds a run"), std::string::npos);
  auto refused = [&](auto change) {
    TrainOptions o = options("run", 10);
    o.resume = true;
    change(o);
    return run(o).message();
  };
  EXPECT_NE(refused([](TrainOptions &o) { o.seed = 8; }).find("--seed 8: its run has 7"), std::string::npos);
  EXPECT_NE(refused([](TrainOptions &o) { o.batch = 2; }).find("--batch 2: its run has 4"), std::string::npos);
  EXPECT_NE(refused([&](TrainOptions &o) {
              o.data = writeText(directory, "other", sampleText(4001));
            }).find("is not the one its run began with"),
            std::string::npos);
  EXPECT_NE(refused([&](TrainOptions &o) { o.out = directory / "none"; }).find("holds no run to resume"),
            std::string::npos);
  EXPECT_NE(refused([](TrainOptions &o) { o.steps = 3; }).find("is at step 5 already"), std::string::npos);
}

TEST_F(TrainTest, RefusesBadInputBeforeWriting) {
  auto message = [&](auto change) {
    TrainOptions o = options("never", 5);
    change(o);
    return run(o).message();
  };
  EXPECT_NE(message([&](TrainOptions &o) { o.data = writeText(directory, "empty", ""); }).find("is empty"),
            std::string::npos);
  EXPECT_NE(message([&](TrainOptions &o) { o.data = directory / "missing"; }).find("No such file"), std::string::npos);
  EXPECT_NE(message([&](TrainOptions &o) {
              o.data = writeText(directory, "short", "abc");
            }).find("has 3 bytes: expected at least 17"),
            std::string::npos);
  EXPECT_NE(
      message([&](TrainOptions &o) { o.evalData = writeText(directory, "short", "abc"); }).find("expected at least 17"),
      std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(directory / "never"));
  EXPECT_NE(message([&](TrainOptions &o) {
              o.out = writeText(directory, "file", "x") + "/run";
            }).find("cannot create the directory"),
            std::string::npos);
}

TEST_F(TrainTest, AFullDiskKeepsTheLastCheckpoint) {
  ASSERT_TRUE(run(options("run", 5)).ok());
  TrainOptions o = options("run", 10);
  o.resume = true;
  // A limit on file sizes fails writes as a full disk does, and only in the child.
  pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit{100000, 100000};
    setrlimit(RLIMIT_FSIZE, &limit);
    std::string message = run(o).message();
    _exit(message.find("the last good checkpoint is " + checkpointPath(o.out, 5)) != std::string::npos ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(listCheckpoints(o.out)->size(), 1u);
  for (const auto &entry : std::filesystem::directory_iterator(o.out))
    EXPECT_EQ(entry.path().string().find(".tmp."), std::string::npos) << entry.path();
}

} // namespace
