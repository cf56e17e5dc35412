// Sessions on the simulated device: the calls of SessionTest, with kernels in PTX.
#include "DeviceTestSupport.h"

#include "device/Profile.h"

#include "lm/Checkpoint.h"

using namespace peer::runtime;

namespace {
class DeviceSessionTest : public testing::Test {
protected:
  void SetUp() override {
    session = Session::open(writeDeviceArtifact(folder), "sim").value();
    ASSERT_OK(session->initParameters(1));
  }
  /// Calls "scale" on rows of four times the row's number.
  Result<TensorMap> scale(int64_t rows, double gain) {
    Tensor x = Tensor::zeros(DType::F32, {rows, 4}).value();
    for (int64_t i = 0; i < 4 * rows; ++i)
      x.as<float>()[i] = static_cast<float>(i / 4 + 1);
    TensorMap inputs;
    inputs.emplace("x", std::move(x));
    return session->call("scale", inputs, {{"gain", gain}});
  }
  std::string callOnEight(const char *entry) {
    TensorMap inputs;
    inputs.emplace("x", floats({8}, std::vector<float>(8, 1.0f)));
    return errorOf(session->call(entry, inputs));
  }

  TemporaryFolder folder;
  std::unique_ptr<Session> session;
};
} // namespace

TEST_F(DeviceSessionTest, CallsKeepStatesOnTheDevice) {
  for (int call = 1; call <= 4; ++call) {
    Result<TensorMap> results = scale(2, 10 * call);
    ASSERT_OK(results);
    EXPECT_EQ(results->at("y").shape(), (Shape{2, 4}));
    EXPECT_EQ(results->at("y").as<float>()[3], static_cast<float>(20 * call));
    EXPECT_EQ(results->at("y").as<float>()[7], static_cast<float>(40 * call));
  }
  EXPECT_EQ(session->states().at("calls").as<float>()[0], 4.0f);
  EXPECT_EQ(session->usage().at("factor").as<float>()[0], 8.0f);
  EXPECT_EQ(session->usage().at("factor").as<float>()[1], 0.0f);
  session->clearStates();
  session->clearUsage();
  ASSERT_OK(scale(2, 1));
  EXPECT_EQ(session->states().at("calls").as<float>()[0], 1.0f);
  EXPECT_EQ(session->usage().at("factor").as<float>()[0], 2.0f);
}

TEST_F(DeviceSessionTest, TheHostCodeRunsTwiceAndThenTheGraph) {
  for (int call = 1; call <= 5; ++call) {
    Result<TensorMap> two = scale(2, call), six = scale(6, -call);
    ASSERT_OK(two);
    ASSERT_OK(six);
    // Both token counts run the same host code in turn.
    EXPECT_EQ(two->at("host_calls").as<int32_t>()[0], call < 2 ? 1 : 3);
    EXPECT_EQ(six->at("host_calls").as<int32_t>()[0], call < 2 ? 2 : 4);
    EXPECT_EQ(two->at("y").as<float>()[7], static_cast<float>(4 * call));
    EXPECT_EQ(six->at("y").as<float>()[23], static_cast<float>(-12 * call));
  }
  EXPECT_EQ(session->states().at("calls").as<float>()[0], 10.0f);
}

TEST_F(DeviceSessionTest, CallsAreTimedAsTheyAreReplayed) {
  for (int call = 1; call <= 4; ++call) {
    ProfileRecording recording(ProfileGrain::Calls);
    Result<TensorMap> results = scale(2, 1);
    ASSERT_OK(results);
    EXPECT_EQ(results->at("host_calls").as<int32_t>()[0], std::min(call, 2));
    ASSERT_EQ(recording.marks.size(), 2u);
    EXPECT_EQ(recording.marks[0].kernel, 0);
    EXPECT_EQ(recording.marks[1].kernel, -1);
    EXPECT_GT(recording.marks[1].nanoseconds, recording.marks[0].nanoseconds);
  }
  ProfileRecording kernels;
  EXPECT_EQ(scale(2, 1)->at("host_calls").as<int32_t>()[0], 3);
}

TEST_F(DeviceSessionTest, ResultsOutliveLaterCalls) {
  Result<TensorMap> first = scale(2, 1), second = scale(2, 2), third = scale(2, 3);
  EXPECT_EQ(first->at("y").as<float>()[0], 2.0f);
  EXPECT_EQ(second->at("y").as<float>()[0], 4.0f);
  EXPECT_EQ(third->at("y").as<float>()[0], 6.0f);
  session.reset();
  EXPECT_EQ(third->at("y").as<float>()[7], 12.0f);
}

TEST_F(DeviceSessionTest, ManyTokenCounts) {
  for (int64_t rows = 2; rows <= 40; rows += 2)
    for (int call = 0; call < 2; ++call) {
      Result<TensorMap> results = scale(rows, 1);
      ASSERT_OK(results);
      EXPECT_EQ(results->at("y").as<float>()[4 * rows - 1], static_cast<float>(2 * rows));
    }
}

TEST_F(DeviceSessionTest, NoTokensAtAll) {
  Result<TensorMap> results = scale(0, 1);
  ASSERT_OK(results);
  EXPECT_EQ(results->at("y").shape(), (Shape{0, 4}));
}

TEST_F(DeviceSessionTest, WhatTheHostWritesReachesTheDevice) {
  ASSERT_OK(scale(2, 1));
  session->parameters().at("factor").as<float>()[1] = 5;
  session->states().at("calls").as<float>()[0] = 40;
  for (int call = 0; call < 3; ++call)
    EXPECT_EQ(scale(2, 1)->at("y").as<float>()[5], 10.0f);
  EXPECT_EQ(session->states().at("calls").as<float>()[0], 43.0f);
}

TEST_F(DeviceSessionTest, SaveAndLoad) {
  session->parameters().at("factor").as<float>()[2] = 7;
  ASSERT_OK(scale(2, 1));
  const Entry &entry = *session->manifest().findEntry("scale");
  ASSERT_OK(session->saveParameters(folder / "w"));
  ASSERT_OK(saveCheckpoint(*session, entry, folder / ".", 1, "{}"));
  auto other = std::move(session);
  session = Session::open(folder / "GPU.peer", "sim").value();
  ASSERT_OK(session->loadParameters(folder / "w"));
  EXPECT_EQ(scale(2, 1)->at("y").as<float>()[6], 14.0f);
  auto file = SafetensorsFile::open(checkpointPath(folder / ".", 1));
  ASSERT_OK(file);
  ASSERT_OK(scale(2, 1)); // the state moves away from that of the checkpoint
  ASSERT_OK(loadCheckpoint(*session, entry, *file));
  EXPECT_EQ(std::as_const(*session).states().at("calls").as<float>()[0], 1.0f);
  ASSERT_OK(scale(2, 1));
  EXPECT_EQ(session->states().at("calls").as<float>()[0], 2.0f);
}

TEST_F(DeviceSessionTest, FaultsAreErrors) {
  std::string path = folder / "GPU.peer";
  for (int call = 0; call < 3; ++call) {
    std::string error = callOnEight("overrun");
    EXPECT_TRUE(
        error.starts_with(concat("entry \"overrun\" of ", path, ": out of bounds in kernel 'scale', PTX line ")))
        << error;
    EXPECT_NE(error.find(", block (1, 0, 0), thread (2, 0, 0), 4 bytes at address "), std::string::npos) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
  for (int call = 0; call < 3; ++call) {
    std::string error = callOnEight("stale");
    EXPECT_NE(error.find("read of memory never written in kernel 'scale'"), std::string::npos) << error;
  }
  EXPECT_EQ(scale(2, 1)->at("y").as<float>()[0], 2.0f);
}

// Where inputs lie beside each other, such a read finds what is between them.
TEST_F(DeviceSessionTest, InputsHaveEnds) {
  TensorMap inputs;
  inputs.emplace("x", floats({6}, std::vector<float>(6, 1.0f)));
  std::string error = errorOf(session->call("beyond", inputs, {{"gain", 1}}));
  EXPECT_NE(error.find("out of bounds in kernel 'scale'"), std::string::npos) << error;
  EXPECT_NE(error.find("block (1, 0, 0), thread (2, 0, 0), 4 bytes"), std::string::npos) << error;
}

TEST_F(DeviceSessionTest, OutOfMemory) {
  std::string error = errorOf(session->call("greedy", {}));
  EXPECT_NE(error.find("out of memory on the device: 1.1 PB were asked for, "), std::string::npos) << error;
  EXPECT_TRUE(error.ends_with(" are free")) << error;
}

TEST_F(DeviceSessionTest, UnknownKernel) {
  EXPECT_EQ(errorOf(session->call("unknown", {})),
            concat("entry \"unknown\" of ", folder / "GPU.peer", ": no kernel 'nobody' in the module"));
}

TEST_F(DeviceSessionTest, TheSimulatorHasNoLibraryForProducts) {
  EXPECT_EQ(session->call("matmul", {})->at("done").as<int32_t>()[0], 0);
}

TEST(DeviceSession, TablesThatDoNotFit) {
  TemporaryFolder folder;
  nlohmann::json manifest = deviceManifest();
  manifest["entries"][0]["arguments"][2]["shape"] = {int64_t{1} << 44};
  auto session = Session::open(writeDeviceArtifact(folder, manifest), "sim").value();
  std::string error = errorOf(session->prepare(*session->manifest().findEntry("scale")));
  EXPECT_NE(error.find("GPU.peer needs 70.4 TB for parameters and state on the device sim, "), std::string::npos)
      << error;
}

TEST(DeviceSession, OpenedForItsParametersAlone) {
  TemporaryFolder folder;
  auto session = Session::openParameters(writeDeviceArtifact(folder)).value();
  ASSERT_OK(session->initParameters(1));
  EXPECT_EQ(session->parameters().at("factor").as<float>()[3], 2.0f);
  EXPECT_EQ(errorOf(session->call("greedy", {})),
            concat("entry \"greedy\" of ", folder / "GPU.peer", ": the artifact was opened for its parameters alone"));
}
