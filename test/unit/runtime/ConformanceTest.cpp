// What every device has to do, whichever it is: the same calls on cpu, sim and, with the driver made for tests, cuda.
#include "DeviceTestSupport.h"

#include "device/Devices.h"
#include "device/Profile.h"

#include <cstdlib>

using namespace peer::runtime;

namespace {
class Conformance : public testing::TestWithParam<std::string> {
protected:
  void SetUp() override {
    setenv("PEER_CUDA_LIBRARY", PEER_FAKE_CUDA, 1);
    path = write(manifest());
    session = open();
    ASSERT_OK(session->initParameters(1));
  }
  void TearDown() override {
    session.reset();
    unsetenv("PEER_CUDA_LIBRARY");
  }
  bool onCpu() const { return GetParam() == "cpu"; }
  /// The hand-made artifact that runs on the device: TestEntries.c or DeviceEntries.c, whose entries `scale` and `greedy` are the same.
  nlohmann::json manifest() const { return onCpu() ? testManifest() : deviceManifest(); }
  std::string write(const nlohmann::json &manifest) const {
    return onCpu() ? writeArtifact(folder, manifest) : writeDeviceArtifact(folder, manifest);
  }
  std::unique_ptr<Session> open() const {
    Result<std::unique_ptr<Session>> opened = Session::open(path, GetParam());
    EXPECT_OK(opened);
    return std::move(opened).value();
  }
  const Entry &entry() const { return *session->manifest().findEntry("scale"); }
  const char *gain() const { return onCpu() ? "learning_rate.default" : "gain"; }

  /// y[t, i] = gain * factor[i] * (t + 1); calls += 1, usage[0] += rows.
  Result<TensorMap> scale(Session &on, int64_t rows, double by) {
    Tensor x = Tensor::zeros(DType::F32, {rows, 4}).value();
    for (int64_t i = 0; i < 4 * rows; ++i)
      x.as<float>()[i] = static_cast<float>(i / 4 + 1);
    TensorMap inputs;
    inputs.emplace("x", std::move(x));
    return on.call("scale", inputs, {{gain(), by}});
  }
  /// The value at [t, i] of a call that must go well.
  float scaled(int64_t rows, double by, int64_t t, int64_t i = 0) {
    Result<TensorMap> results = scale(*session, rows, by);
    EXPECT_OK(results);
    return results.ok() ? results->at("y").as<float>()[4 * t + i] : -1;
  }
  float calls(Session &of) { return std::as_const(of).states().at("calls").as<float>()[0]; }

  TemporaryFolder folder;
  std::string path;
  std::unique_ptr<Session> session;
};

INSTANTIATE_TEST_SUITE_P(Devices, Conformance, testing::Values("cpu", "sim", "cuda"),
                         [](const auto &info) { return info.param; });
} // namespace

TEST_P(Conformance, SaysWhatItIs) {
  Device &device = session->device();
  EXPECT_EQ(device.name(), GetParam());
  EXPECT_FALSE(device.description().empty());
  Result<DeviceMemory> memory = device.memory();
  ASSERT_OK(memory);
  EXPECT_GT(memory->free, 0u);
  EXPECT_LE(memory->free, memory->total);
  Result<const DeviceKind *> kind = findDevice(GetParam());
  ASSERT_OK(kind);
  EXPECT_EQ((*kind)->runs, session->manifest().device);
}

TEST_P(Conformance, CallsComputeAndKeepTheirStates) {
  for (int call = 1; call <= 4; ++call) {
    EXPECT_EQ(scaled(2, 10 * call, 1, 3), static_cast<float>(40 * call));
    EXPECT_EQ(calls(*session), static_cast<float>(call));
  }
  EXPECT_EQ(session->usage().at("factor").as<float>()[0], 8.0f);
  EXPECT_EQ(session->usage().at("factor").as<float>()[1], 0.0f);
  session->clearStates();
  session->clearUsage();
  EXPECT_EQ(scaled(2, 1, 0), 2.0f);
  EXPECT_EQ(calls(*session), 1.0f);
  EXPECT_EQ(session->usage().at("factor").as<float>()[0], 2.0f);
}

TEST_P(Conformance, AnyTokenCount) {
  for (int64_t rows = 0; rows <= 40; rows += 2)
    for (int call = 0; call < 3; ++call) {
      Result<TensorMap> results = scale(*session, rows, call);
      ASSERT_OK(results);
      ASSERT_EQ(results->at("y").shape(), (Shape{rows, 4}));
      for (int64_t i = 0; i < 4 * rows; ++i)
        ASSERT_EQ(results->at("y").as<float>()[i], static_cast<float>(2 * call * (i / 4 + 1))) << rows << " " << i;
    }
}

TEST_P(Conformance, ResultsOutliveLaterCallsAndTheSession) {
  Result<TensorMap> first = scale(*session, 2, 1), second = scale(*session, 2, 2), third = scale(*session, 2, 3);
  session.reset();
  EXPECT_EQ(first->at("y").as<float>()[0], 2.0f);
  EXPECT_EQ(second->at("y").as<float>()[0], 4.0f);
  EXPECT_EQ(third->at("y").as<float>()[7], 12.0f);
}

TEST_P(Conformance, WhatTheHostWritesCountsFromTheNextCallOn) {
  EXPECT_EQ(scaled(2, 1, 1, 1), 4.0f);
  for (int call = 0; call < 3; ++call) {
    session->parameters().at("factor").as<float>()[1] = static_cast<float>(5 + call);
    session->states().at("calls").as<float>()[0] = 40;
    EXPECT_EQ(scaled(2, 1, 1, 1), static_cast<float>(10 + 2 * call));
    EXPECT_EQ(calls(*session), 41.0f);
  }
}

TEST_P(Conformance, ParametersAreSavedAndLoaded) {
  session->parameters().at("factor").as<float>()[2] = 7;
  EXPECT_EQ(scaled(2, 1, 0, 2), 7.0f);
  ASSERT_OK(session->saveParameters(folder / "w"));
  std::unique_ptr<Session> first = std::exchange(session, open());
  ASSERT_OK(session->loadParameters(folder / "w"));
  EXPECT_EQ(scaled(2, 1, 1, 2), 14.0f);
}

TEST_P(Conformance, SessionsAreApart) {
  std::unique_ptr<Session> other = open();
  ASSERT_OK(other->initParameters(1));
  other->parameters().at("factor").as<float>()[0] = 3;
  for (int call = 1; call <= 3; ++call) {
    EXPECT_EQ(scaled(2, 1, 0), 2.0f);
    EXPECT_EQ(scale(*other, 2, 1)->at("y").as<float>()[0], 3.0f);
  }
  EXPECT_EQ(scaled(2, 1, 0), 2.0f);
  EXPECT_EQ(calls(*session), 4.0f);
  EXPECT_EQ(calls(*other), 3.0f);
}

TEST_P(Conformance, OutOfMemoryIsAnErrorAndNoEnd) {
  EXPECT_EQ(scaled(2, 1, 0), 2.0f);
  for (int call = 0; call < 2; ++call) {
    std::string error = errorOf(session->call("greedy", {}));
    EXPECT_TRUE(error.starts_with(concat("entry \"greedy\" of ", session->path(), ": out of memory"))) << error;
    EXPECT_NE(error.find("1.1 PB"), std::string::npos) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
  EXPECT_EQ(scaled(2, 2, 0), 4.0f);
}

TEST_P(Conformance, TablesThatDoNotFit) {
  nlohmann::json large = manifest();
  large["entries"][0]["arguments"][2]["shape"] = {int64_t{1} << 44};
  session.reset(); // the file under its code is replaced
  session = Session::open(write(large), GetParam()).value();
  std::string error = errorOf(session->prepare(entry()));
  std::string place = onCpu() ? "" : " on the device " + GetParam();
  EXPECT_NE(error.find(concat(" needs 70.4 TB for parameters and state", place, ", ")), std::string::npos) << error;
  EXPECT_TRUE(error.ends_with(" available")) << error;
}

TEST_P(Conformance, KernelsAreTimed) {
  EXPECT_EQ(scaled(2, 1, 0), 2.0f);
  for (int call = 0; call < 3; ++call) {
    ProfileRecording recording;
    EXPECT_EQ(scaled(2, 1, 0), 2.0f);
    ASSERT_GE(recording.marks.size(), 3u);
    EXPECT_EQ(recording.marks[0].kernel, 0);
    EXPECT_EQ(recording.marks[1].kernel, 1);
    EXPECT_EQ(recording.marks.back().kernel, -1);
    EXPECT_LE(recording.marks[0].nanoseconds, recording.marks[1].nanoseconds);
    EXPECT_LE(recording.marks[1].nanoseconds, recording.marks.back().nanoseconds);
  }
}

TEST_P(Conformance, MemoryOfCompiledCodeIsCounted) {
  session->resetPeak();
  EXPECT_EQ(scaled(1000, 1, 0), 2.0f);
  EXPECT_GE(session->peakBytes(), 16'000u);
}

TEST_P(Conformance, WrongInputsAreRefusedBeforeAnythingRuns) {
  EXPECT_EQ(errorOf(session->call("scale", {}, {{gain(), 1}})),
            "entry \"scale\": the input \"x\" (f32 [T, 4]) is missing");
  EXPECT_NE(errorOf(scale(*session, 3, 1)).find("expected a multiple of 2"), std::string::npos);
  EXPECT_EQ(scaled(2, 1, 0), 2.0f);
  EXPECT_EQ(calls(*session), 1.0f);
}

TEST_P(Conformance, ModelsForOtherDevicesAreRefused) {
  std::string other = onCpu() ? writeDeviceArtifact(folder) : writeArtifact(folder);
  std::string error = errorOf(Session::open(other, GetParam()));
  EXPECT_TRUE(error.starts_with(other + " was compiled for ")) << error;
  EXPECT_NE(error.find(onCpu() ? "cuda and sim" : "peer-opt --target=sm_90"), std::string::npos) << error;
}

TEST(Devices, UnknownOnes) {
  EXPECT_EQ(findDevice("tpu").message(), "unknown device 'tpu' (known: cpu, cuda, sim)");
  TemporaryFolder folder;
  nlohmann::json manifest = testManifest();
  manifest["target"] = {{"device", "vulkan"}};
  std::string path = writeArtifact(folder, manifest);
  EXPECT_EQ(errorOf(Session::open(path)),
            path + " was compiled for the device 'vulkan', and this runtime has: cpu, cuda, sim");
}
