// What a run keeps: the best weights, the last good state before an error, its data, and its directory for itself.

#include "TrainTestSupport.h"

#include "lm/Checkpoint.h"
#include "lm/training/RunLock.h"

#include <csignal>
#include <fcntl.h>
#include <unistd.h>

using namespace peer::runtime;

namespace {

class TrainRunTest : public TrainFixture {
protected:
  static std::string metadata(const std::string &path, std::string_view key) {
    Result<SafetensorsFile> file = SafetensorsFile::open(path);
    auto found = file.ok() ? file->metadata().find(key) : decltype(file->metadata().end()){};
    return file.ok() && found != file->metadata().end() ? found->second : file.message();
  }
};

TEST_F(TrainRunTest, KeepsTheBestWeights) {
  TrainOptions o = options("run", 40);
  Result<TrainSummary> good = run(o);
  ASSERT_TRUE(good.ok()) << good.message();
  std::string best = directory / "run/best.safetensors", before = bytes(best);
  EXPECT_EQ(metadata(best, "step"), std::to_string(good->bestStep));
  EXPECT_DOUBLE_EQ(std::stod(metadata(best, "validation_loss")), good->bestLoss);
  // A rate that spoils the table: the newest weights are worse, the best ones stay, through a second resume, too.
  o.resume = true;
  o.schedule = ScheduleKind::Constant;
  o.learningRate = 60;
  o.evalEvery = 1000;
  for (int64_t steps : {50, 60}) {
    o.steps = steps;
    Result<TrainSummary> worse = run(o);
    ASSERT_TRUE(worse.ok()) << worse.message();
    EXPECT_EQ(worse->bestStep, good->bestStep);
    EXPECT_GT(worse->validation.loss, good->bestLoss);
  }
  EXPECT_EQ(bytes(best), before);
  EXPECT_NE(bytes(directory / "run/weights.safetensors"), before);
}

TEST_F(TrainRunTest, AnErrorSavesTheLastGoodStateFirst) {
  TrainOptions o = options("run", 100);
  o.saveEvery = 1000;
  o.evalEvery = 1000;
  int64_t asked = 0;
  Progress silent;
  Result<TrainSummary> summary = train(
      o, silent,
      {[&] {
         // The disk is full for the log alone.
         if (std::filesystem::exists(o.out) && ++asked == 12) {
           for (const auto &entry : std::filesystem::directory_iterator("/proc/self/fd"))
             if (std::error_code none; std::filesystem::read_symlink(entry.path(), none) == o.out + "/log.jsonl") {
               int full = open("/dev/full", O_WRONLY);
               dup2(full, std::stoi(entry.path().filename()));
               close(full);
             }
         }
         return false;
       },
       {}});
  std::vector<CheckpointFile> files = *listCheckpoints(o.out);
  ASSERT_EQ(files.size(), 1u) << summary.message();
  EXPECT_EQ(summary.message(),
            concat("cannot write ", o.out, "/log.jsonl: No space left on device; the last good checkpoint is ",
                   files[0].path));
  o.resume = true;
  o.steps = files[0].step + 5;
  ASSERT_TRUE(run(o).ok());
  TrainOptions whole = options("whole", 100);
  whole.steps = o.steps;
  // The rates follow --steps, which the two have not in common.
  EXPECT_TRUE(run(whole).ok());
}

TEST_F(TrainRunTest, AParameterThatIsNotFiniteIsFoundAtTheNextEvaluation) {
  TrainOptions o = options("run", 100);
  o.groupRates["experts"] = 3e38;
  o.schedule = ScheduleKind::Constant;
  o.saveEvery = 1000;
  o.evalEvery = 2;
  Result<TrainSummary> summary = run(o);
  ASSERT_FALSE(summary.ok());
  EXPECT_NE(summary.message().find("the parameter experts has values that are not finite after step "),
            std::string::npos)
      << summary.message();
  EXPECT_NE(summary.message().find("no checkpoint had been saved"), std::string::npos) << summary.message();
  EXPECT_TRUE(listCheckpoints(o.out)->empty());
}

TEST_F(TrainRunTest, WhatCannotBeListedIsNotWithoutCheckpoints) {
  TrainOptions o = options("run", 1);
  EXPECT_TRUE(listCheckpoints(o.out + "/none")->empty());
  EXPECT_EQ(listCheckpoints(o.data).message(), "cannot read the directory " + o.data + ": Not a directory");
}

// A run that was killed while it wrote its first file leaves nothing that a resume would find.
TEST_F(TrainRunTest, ARunThatBeginsAgainLeavesNothingOfTheOneBefore) {
  TrainOptions o = options("run", 1);
  writeText(directory, "run/data.json.tmp.5JbQgo", "[");
  writeText(directory, "run/notes.tmp.txt", "mine");
  ASSERT_TRUE(run(o).ok());
  EXPECT_FALSE(std::filesystem::exists(o.out + "/data.json.tmp.5JbQgo"));
  EXPECT_TRUE(std::filesystem::exists(o.out + "/notes.tmp.txt"));
}

TEST_F(TrainRunTest, SavesWhenItIsAskedToAndGoesOn) {
  TrainOptions o = options("run", 12);
  o.saveEvery = 1000;
  int64_t asked = 0;
  std::string said = linesOf(o, {{}, [&] { return ++asked == 4; }});
  EXPECT_NE(said.find("saved " + checkpointPath(o.out, 4)), std::string::npos) << said;
  EXPECT_EQ(listCheckpoints(o.out)->front().step, 12);
}

TEST_F(TrainRunTest, ASecondProcessIsRefused) {
  TrainOptions o = options("run", 5);
  std::filesystem::create_directory(o.out);
  {
    Result<RunLock> lock = RunLock::acquire(o.out);
    ASSERT_OK(lock);
    EXPECT_NE(run(o).message().find(concat(o.out, " is in use by process ", getpid(), " on ")), std::string::npos);
    o.resume = true;
    EXPECT_NE(run(o).message().find("is in use by process"), std::string::npos);
    o.resume = false;
  }
  ASSERT_TRUE(run(o).ok());
  EXPECT_FALSE(std::filesystem::exists(o.out + "/lock"));
}

TEST_F(TrainRunTest, DataMayContainTheRun) {
  writeText(directory, "d/a", sampleText(3000));
  TrainOptions o = options("d/run", 5);
  o.data = directory / "d";
  EXPECT_NE(linesOf(o).find(concat("reading ", o.data, ": 1 file, 3.0 kB\n")), std::string::npos);
  // What came later is not read, what is left is.
  writeText(directory, "d/later", sampleText(100));
  o.resume = true;
  o.steps = 10;
  std::string said = linesOf(o);
  EXPECT_NE(said.find(": 1 file, 3.0 kB, as when the run began\n"), std::string::npos) << said;
  EXPECT_EQ(listCheckpoints(o.out)->front().step, 10);
  o.out = o.data;
  EXPECT_EQ(run(o).message(),
            concat("--out ", o.data, " is the directory that the data is read from: expected another one"));
}

TEST_F(TrainRunTest, AnOutputIsNoInput) {
  TrainOptions o = options("out", 5);
  writeText(directory, "out/notes", "x");
  std::filesystem::create_hard_link(data, directory / "out/best.safetensors");
  EXPECT_EQ(run(o).message(),
            concat("--out ", o.out, "/best.safetensors names a file that is read (", data, "): expected another one"));
  std::filesystem::remove(directory / "out/best.safetensors");
  writeText(directory, "out/report.html", "mine");
  EXPECT_NE(run(o).message().find("report.html exists already, and a run would replace it"), std::string::npos);
  o.out = data;
  EXPECT_NE(run(o).message().find("expected a directory"), std::string::npos);
  EXPECT_EQ(bytes(directory / "out/report.html"), "mine");
}

TEST_F(TrainRunTest, AResumedRunSaysWhatDiffers) {
  TrainOptions o = options("run", 5);
  o.learningRate = 2;
  ASSERT_TRUE(run(o).ok());
  o.resume = true;
  o.steps = 8;
  o.learningRate = 4;
  o.warmup = 3;
  o.schedule = ScheduleKind::Cosine;
  std::string said = linesOf(o);
  for (const char *line :
       {"the learning rate of the group 'default' is 4.0, was 2.0\n", "--schedule is cosine, was linear\n",
        "--warmup is 3, was 0\n", "--steps is 8, was 5\n", "was made before models had fingerprints"})
    EXPECT_NE(said.find(line), std::string::npos) << line << said;
  EXPECT_EQ(said.find("experts'"), std::string::npos) << said;
  EXPECT_EQ(said.find("--data"), std::string::npos) << said;
  // The same again: nothing differs from the run so far.
  EXPECT_EQ(linesOf(o).find("differs"), std::string::npos);
}

} // namespace
