// Sessions on the device cuda, with the driver made for tests: what a call asks of the driver, which is what its latency consists of.
#include "../cuda/fake/FakeCounts.h"
#include "DeviceTestSupport.h"

#include "device/Profile.h"

#include "device/gpu/CallBuffers.h"

#include <cstdlib>
#include <dlfcn.h>

using namespace peer::runtime;

namespace {
class CudaSessionTest : public testing::Test {
protected:
  void SetUp() override {
    setenv("PEER_CUDA_LIBRARY", PEER_FAKE_CUDA, 1);
    session = Session::open(writeDeviceArtifact(folder), "cuda").value();
    ASSERT_OK(session->initParameters(1));
  }
  void TearDown() override {
    session.reset();
    unsetenv("PEER_CUDA_LIBRARY");
  }
  static cuda::fake::Counts counts() {
    auto function = reinterpret_cast<void (*)(cuda::fake::Counts *)>(
        dlsym(dlopen(PEER_FAKE_CUDA, RTLD_NOW | RTLD_NOLOAD), "fakeCudaCounts"));
    cuda::fake::Counts counts;
    function(&counts);
    return counts;
  }
  /// Calls "scale" on rows of the row's number plus `offset`, and checks all values.
  void scale(int64_t rows, float gain, float offset = 0) {
    Tensor x = Tensor::zeros(DType::F32, {rows, 4}).value();
    for (int64_t i = 0; i < 4 * rows; ++i)
      x.as<float>()[i] = static_cast<float>(i / 4) + offset;
    TensorMap inputs;
    inputs.emplace("x", std::move(x));
    Result<TensorMap> results = session->call("scale", inputs, {{"gain", gain}});
    ASSERT_OK(results);
    for (int64_t i = 0; i < 4 * rows; ++i)
      ASSERT_EQ(results->at("y").as<float>()[i], 2 * gain * (static_cast<float>(i / 4) + offset)) << i;
  }
  /// What a call asked of the driver.
  template <typename Call>
  cuda::fake::Counts asked(Call call) {
    cuda::fake::Counts before = counts();
    call();
    cuda::fake::Counts after = counts();
    return {.launches = after.launches - before.launches,
            .graphLaunches = after.graphLaunches - before.graphLaunches,
            .captures = after.captures - before.captures,
            .allocations = after.allocations - before.allocations,
            .pinnedAllocations = after.pinnedAllocations - before.pinnedAllocations,
            .synchronizations = after.synchronizations - before.synchronizations,
            .copiesIn = after.copiesIn - before.copiesIn,
            .copiesOut = after.copiesOut - before.copiesOut,
            .bytesIn = after.bytesIn - before.bytesIn,
            .bytesOut = after.bytesOut - before.bytesOut};
  }

  TemporaryFolder folder;
  std::unique_ptr<Session> session;
};

TEST_F(CudaSessionTest, AStepIsOneLaunchAndOneWait) {
  scale(2, 1);
  scale(2, 2);
  for (int step = 3; step < 6; ++step) {
    auto delta = asked([&] { scale(2, static_cast<float>(step), static_cast<float>(10 * step)); });
    EXPECT_EQ(delta.graphLaunches, 1u);
    EXPECT_EQ(delta.synchronizations, 1u);
    EXPECT_EQ(delta.launches + delta.captures + delta.allocations + delta.pinnedAllocations, 0u);
    EXPECT_EQ(delta.copiesIn + delta.copiesOut, 0u) << "they are the graph's";
    EXPECT_EQ(delta.bytesIn, 512u) << "an input and a scalar, aligned";
    EXPECT_EQ(delta.bytesOut, 36u) << "the results alone, no state and no usage";
  }
  // They were on the device all the time.
  auto delta = asked([&] { EXPECT_EQ(std::as_const(*session).states().at("calls").as<float>()[0], 5.0f); });
  EXPECT_EQ(delta.bytesOut, 4u);
}

TEST_F(CudaSessionTest, HostCodeIsCalledWithOneCopyInAndOneWait) {
  scale(2, 1);
  ProfileRecording kernels;
  auto delta = asked([&] { scale(2, 3); });
  EXPECT_EQ(delta.copiesIn, 1u);
  EXPECT_EQ(delta.copiesOut, 2u) << "one for each result";
  EXPECT_EQ(delta.launches, 3u);
  EXPECT_EQ(delta.graphLaunches + delta.captures, 0u);
  EXPECT_EQ(delta.synchronizations, 2u) << "the call's, and that of the marks";
}

TEST_F(CudaSessionTest, CallsAreTimedWithoutTheirCopies) {
  for (int call = 0; call < 3; ++call)
    scale(2, 1);
  for (int call = 0; call < 2; ++call) {
    ProfileRecording recording(ProfileGrain::Calls);
    auto delta = asked([&] { scale(2, 3, static_cast<float>(call)); });
    EXPECT_EQ(delta.captures, call == 0 ? 1u : 0u);
    EXPECT_EQ(delta.graphLaunches, 1u);
    EXPECT_EQ(delta.copiesIn, 1u);
    EXPECT_EQ(delta.copiesOut, 2u);
    EXPECT_EQ(delta.launches, 0u);
  }
  uint64_t alive = counts().alive;
  for (int call = 0; call < 2; ++call) {
    auto delta = asked([&] { scale(2, 4, static_cast<float>(call)); });
    EXPECT_EQ(delta.captures, call == 0 ? 1u : 0u);
    EXPECT_EQ(delta.copiesIn + delta.copiesOut, 0u);
  }
  EXPECT_EQ(counts().alive, alive) << "one graph at a time";
}

TEST_F(CudaSessionTest, LargeInputsAndResultsHaveCopiesOfTheirOwn) {
  constexpr int64_t most = CallBuffers::kSmallBytes / 16;
  for (int64_t rows : {most, most + 2}) {
    scale(rows, 1);
    scale(rows, 2);
    auto delta = asked([&] { scale(rows, 3, 1); });
    EXPECT_EQ(delta.graphLaunches, 1u);
    EXPECT_EQ(delta.copiesIn, rows > most ? 1u : 0u);
    EXPECT_EQ(delta.copiesOut, rows > most ? 1u : 0u);
    EXPECT_EQ(delta.pinnedAllocations, 0u);
  }
}

TEST_F(CudaSessionTest, PlansInTurnAndNothingIsLeft) {
  scale(0, 1);
  for (int64_t rows = 2; rows <= 40; rows += 2)
    for (int call = 0; call < 3; ++call)
      scale(rows, static_cast<float>(call));
  session.reset();
  EXPECT_EQ(counts().alive, 0u);
}

// The second call would be recorded, and its host code fails at that: it is run instead, on the memory that the recording took.
TEST_F(CudaSessionTest, WhatCannotBeRecordedIsRun) {
  for (int32_t runs : {1, 3, 4, 5}) {
    auto delta = asked([&] {
      Result<TensorMap> results = session->call("fickle", {});
      ASSERT_OK(results);
      EXPECT_EQ(results->at("runs").as<int32_t>()[0], runs);
    });
    EXPECT_EQ(delta.graphLaunches, 0u);
    EXPECT_EQ(delta.allocations, runs == 1 ? 1u : 0u);
  }
}

TEST_F(CudaSessionTest, CallsWithoutRoomForTheirInputs) {
  setenv("FAKE_CUDA_MEMORY", "2000", 1);
  session = Session::open(folder / "GPU.peer", "cuda").value();
  unsetenv("FAKE_CUDA_MEMORY");
  ASSERT_OK(session->initParameters(1));
  TensorMap inputs;
  inputs.emplace("x", Tensor::zeros(DType::F32, {200, 4}).value());
  for (int call = 0; call < 2; ++call)
    EXPECT_EQ(errorOf(session->call("scale", inputs, {{"gain", 1}})),
              concat("entry \"scale\" of ", folder / "GPU.peer",
                     ": out of memory on the device: 3.6 kB were asked for, 2.0 kB of 2.0 kB are free"));
  scale(2, 1);
}
} // namespace
