// Runs of the model made by hand, for tests of the training loop.
#pragma once

#include "FakeLanguageModel.h"

#include "lm/training/Train.h"
#include "report/TrainReport.h"

#include <fstream>
#include <gtest/gtest.h>

namespace peer::runtime {

class TrainFixture : public testing::Test {
protected:
  TrainOptions options(const std::string &out, int64_t steps) {
    TrainOptions o;
    o.model = fakeLanguageModel();
    o.data = data;
    o.out = directory / out;
    o.steps = steps;
    o.batch = 4;
    o.seed = 7;
    o.schedule = ScheduleKind::Linear;
    o.saveEvery = 5;
    o.evalEvery = 5;
    return o;
  }

  static Result<TrainSummary> run(const TrainOptions &o, int64_t stopAfter = INT64_MAX) {
    Progress silent;
    int64_t asked = 0;
    return train(o, silent,
                 {[&] { return std::filesystem::exists(o.out) && asked++ >= stopAfter; }, {}, writeTrainReport});
  }

  /// What a run says while it goes on; its error is the last line.
  static std::string linesOf(const TrainOptions &o, const TrainControl &control = {}) {
    std::string said;
    Progress progress([&](std::string_view text) { said += text; }, {});
    Result<TrainSummary> summary = train(o, progress, control);
    return said + summary.message();
  }

  static std::string bytes(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  TemporaryFolder directory;
  std::string data = writeText(directory, "text", sampleText(4000));
};

} // namespace peer::runtime
