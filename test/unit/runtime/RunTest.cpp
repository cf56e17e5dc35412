// Calls and bound tensors through the C interface, on every device.
#include "ProgramTestSupport.h"

using namespace peer::runtime;

namespace {
using Floats = std::vector<float>;

class Run : public testing::TestWithParam<std::string> {
protected:
  void SetUp() override {
    std::string path = onCpu() ? writeArtifact(folder) : writeDeviceArtifact(folder);
    program = std::make_unique<Program>(GetParam(), path);
    gain = &program->onHost({}, {10});
  }
  bool onCpu() const { return GetParam() == "cpu"; }

  /// y = gain * factor * x for x[t, i] = t + 1. The device's artifact has a second result, which says how often its code ran.
  std::string scale(int64_t rows, const peer_options *options = nullptr) {
    Floats values(static_cast<size_t>(4 * rows));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(i / 4 + 1);
    x = &program->tensor({rows, 4}, values);
    y = &program->room({rows, 4});
    std::vector<peer_view> results{y->view()};
    if (!onCpu())
      results.push_back(program->room({}, "i32").view());
    return program->run("scale", {x->view(), gain->view()}, results, options);
  }

  TemporaryFolder folder;
  std::unique_ptr<Program> program;
  ProgramTensor *x = nullptr, *y = nullptr, *gain = nullptr;
};

INSTANTIATE_TEST_SUITE_P(Devices, Run, testing::Values("cpu", "sim", "cuda"),
                         [](const auto &info) { return info.param; });
} // namespace

TEST_P(Run, ResultsGoWhereTheyAreWanted) {
  ASSERT_EQ(peer_init_parameters(program->artifact, 1), PEER_OK);
  for (int64_t rows : {2, 6, 0, 2, 2}) {
    ASSERT_EQ(scale(rows), "");
    for (int64_t i = 0; i < 4 * rows; ++i)
      ASSERT_EQ(y->values()[i], static_cast<float>(20 * (i / 4 + 1))) << rows << " " << i;
  }
  EXPECT_EQ(program->kept("state:calls"), Floats{5});
  EXPECT_EQ(program->kept("usage:factor"), (Floats{12, 0}));
}

TEST_P(Run, ThreadsOfOneCall) {
  ASSERT_EQ(peer_init_parameters(program->artifact, 1), PEER_OK);
  for (int32_t threads : {1, 2, 3}) {
    peer_options options{.size = sizeof options, .flags = 0, .threads = threads, .stream = nullptr};
    EXPECT_EQ(scale(2, &options), "");
    EXPECT_EQ(y->values()[7], 40.0f);
  }
  peer_options options{.size = sizeof options, .flags = 0, .threads = -1, .stream = nullptr};
  EXPECT_EQ(scale(2, &options), "the number of threads is -1, expected 1 to 4096");
}

TEST_P(Run, BoundParametersAreReadWhereTheyAre) {
  ProgramTensor &factor = program->tensor({4}, {1, 2, 3, 4});
  ASSERT_EQ(program->bind("factor", &factor), "");
  for (float value : {5.0f, 6.0f, 7.0f, 8.0f}) {
    factor.values(true)[1] = value;
    ASSERT_EQ(scale(2), "");
    EXPECT_EQ(y->floats(), (Floats{10, 10 * value, 30, 40, 20, 20 * value, 60, 80}));
  }
  // Elsewhere: the values there are taken, those of before stay behind.
  ProgramTensor &other = program->tensor({4}, {0, 0, 0, 9});
  ASSERT_EQ(program->bind("factor", &other), "");
  ASSERT_EQ(scale(2), "");
  EXPECT_EQ(y->floats(), (Floats{0, 0, 0, 90, 0, 0, 0, 180}));
  EXPECT_EQ(factor.floats(), (Floats{1, 8, 3, 4}));
  // The library's own memory again, with the values of the moment.
  ASSERT_EQ(program->bind("factor", nullptr), "");
  other.values(true)[3] = 1;
  ASSERT_EQ(scale(2), "");
  EXPECT_EQ(y->floats(), (Floats{0, 0, 0, 90, 0, 0, 0, 180}));
  EXPECT_EQ(program->kept("factor"), (Floats{0, 0, 0, 9}));
  ASSERT_EQ(program->bind("factor", nullptr), "") << "nothing happens where nothing is bound";
}

TEST_P(Run, BoundParametersAreWrittenAndSaved) {
  ASSERT_EQ(peer_init_parameters(program->artifact, 1), PEER_OK);
  ASSERT_EQ(scale(2), "");
  ProgramTensor &factor = program->tensor({4}, {1, 2, 3, 4});
  ASSERT_EQ(program->bind("factor", &factor), "");
  std::string file = folder / "w";
  ASSERT_EQ(peer_save_parameters(program->artifact, file.c_str()), PEER_OK) << peer_last_error();
  EXPECT_EQ(factor.floats(), (Floats{1, 2, 3, 4})) << "binding copies nothing";
  ASSERT_EQ(peer_init_parameters(program->artifact, 1), PEER_OK);
  EXPECT_EQ(factor.floats(), (Floats{2, 2, 2, 2}));
  ASSERT_EQ(peer_load_parameters(program->artifact, file.c_str()), PEER_OK) << peer_last_error();
  EXPECT_EQ(factor.floats(), (Floats{1, 2, 3, 4}));
  ASSERT_EQ(scale(2), "");
  EXPECT_EQ(y->floats(), (Floats{10, 20, 30, 40, 20, 40, 60, 80}));
  peer_view view{};
  ASSERT_EQ(peer_tensor(program->artifact, "factor", &view), PEER_OK);
  EXPECT_EQ(view.data, factor.data);
  EXPECT_EQ(view.device_type, GetParam() == "cuda" ? PEER_CUDA : PEER_CPU);
}

TEST_P(Run, BoundStatesAndUsageAreUpdatedWhereTheyAre) {
  ASSERT_EQ(peer_init_parameters(program->artifact, 1), PEER_OK);
  ProgramTensor &calls = program->tensor({}, {40}), &usage = program->tensor({2}, {100, 7});
  ASSERT_EQ(program->bind("state:calls", &calls), "");
  ASSERT_EQ(program->bind("usage:factor", &usage), "");
  for (int call = 1; call <= 3; ++call) {
    ASSERT_EQ(scale(2), "");
    EXPECT_EQ(calls.floats(), Floats{static_cast<float>(40 + call)});
    EXPECT_EQ(usage.floats(), (Floats{static_cast<float>(100 + 2 * call), 7}));
  }
  calls.values(true)[0] = 1;
  ASSERT_EQ(scale(2), "");
  EXPECT_EQ(calls.floats(), Floats{2});
  ASSERT_EQ(program->bind("state:calls", nullptr), "");
  ASSERT_EQ(scale(2), "");
  EXPECT_EQ(calls.floats(), Floats{2});
  EXPECT_EQ(program->kept("state:calls"), Floats{3});
  ASSERT_EQ(peer_clear_usage(program->artifact), PEER_OK);
  ASSERT_EQ(peer_clear_states(program->artifact), PEER_OK);
  ASSERT_EQ(scale(2), "");
  EXPECT_EQ(usage.floats(), (Floats{2, 0}));
  EXPECT_EQ(program->kept("state:calls"), Floats{1});
}

TEST_P(Run, BindingBetweenCallsOfBothKinds) {
  ASSERT_EQ(peer_init_parameters(program->artifact, 1), PEER_OK);
  ProgramTensor &factor = program->tensor({4}, {1, 1, 1, 1});
  for (int round = 1; round <= 4; ++round) {
    ASSERT_EQ(scale(2), "");
    EXPECT_EQ(y->values()[0], round == 1 ? 20.0f : 10.0f) << round;
    ASSERT_EQ(program->bind("factor", round % 2 ? &factor : nullptr), "");
  }
  EXPECT_EQ(program->kept("state:calls"), Floats{4});
}

TEST_P(Run, ParametersThatAreNowhere) {
  std::string error = scale(2);
  EXPECT_TRUE(error.ends_with(" needs parameters, and none were loaded or initialised")) << error;
}

TEST_P(Run, RefusedArguments) {
  ASSERT_EQ(peer_init_parameters(program->artifact, 1), PEER_OK);
  ASSERT_EQ(scale(2), "");
  std::vector<peer_view> results{y->view()};
  if (!onCpu())
    results.push_back(program->room({}, "i32").view());
  std::string scalar = onCpu() ? "learning_rate.default" : "gain";
  auto refused = [&](auto change) {
    peer_view view = x->view();
    change(view);
    return program->run("scale", {view, gain->view()}, results);
  };
  EXPECT_EQ(program->run("scale", {x->view()}, results),
            "entry \"scale\": 1 argument was given, expected 2: x (f32 [T, 4]), " + scalar + " (f32 [])");
  EXPECT_EQ(refused([](peer_view &view) { view.size = 8; }),
            "a peer_view of the arguments says that it has 8 bytes, and one of this library (version 1 of the "
            "interface) has 56");
  EXPECT_EQ(refused([](peer_view &view) { view.dtype = "f64"; }),
            "entry \"scale\": input \"x\" is f64 [2, 4], expected f32 [T, 4]");
  EXPECT_EQ(refused([](peer_view &view) { view.dtype = "f31"; }),
            "entry \"scale\": input \"x\" has the dtype \"f31\", which is not known");
  EXPECT_EQ(refused([](peer_view &view) { view.dtype = nullptr; }), "entry \"scale\": input \"x\" has no dtype");
  EXPECT_EQ(refused([](peer_view &view) { view.rank = 1; }),
            "entry \"scale\": input \"x\" is f32 [2], expected f32 [T, 4]");
  EXPECT_EQ(refused([](peer_view &view) { view.shape = nullptr; }), "entry \"scale\": input \"x\" has no shape");
  EXPECT_EQ(refused([](peer_view &view) { view.data = nullptr; }), "entry \"scale\": input \"x\" has no data");
  int64_t odd[2] = {3, 4}, negative[2] = {-1, 4}, wide[2] = {8, 1}, dense[2] = {4, 1};
  EXPECT_EQ(refused([&](peer_view &view) { view.shape = odd; }),
            "entry \"scale\": T is 3 by input \"x\", expected a multiple of 2");
  EXPECT_EQ(refused([&](peer_view &view) { view.shape = negative; }),
            "entry \"scale\": input \"x\" has a negative size, -1");
  EXPECT_EQ(refused([&](peer_view &view) { view.strides = wide; }),
            "entry \"scale\": input \"x\" is not dense: its strides are [8, 1] for the shape [2, 4]");
  EXPECT_EQ(refused([&](peer_view &view) { view.strides = dense; }), "");
  std::string kind = GetParam() == "cuda" ? ", and the device cuda is GPU 0"
                                          : concat(", and the device ", GetParam(), " takes memory of the host");
  EXPECT_EQ(refused([](peer_view &view) { view.device_type = 7; }),
            "entry \"scale\": input \"x\" is on a device of DLPack's type 7" + kind);
  EXPECT_EQ(refused([](peer_view &view) {
              view.device_type = PEER_CUDA;
              view.device_id = 3;
            }),
            "entry \"scale\": input \"x\" is on GPU 3" + kind);
  std::string unaligned = refused([](peer_view &view) { view.data = static_cast<char *>(view.data) + 2; });
  EXPECT_TRUE(unaligned.starts_with("entry \"scale\": input \"x\" lies at address 0x")) << unaligned;
  EXPECT_TRUE(unaligned.ends_with(concat(", expected a multiple of ", x->onGpu ? 16 : 4, " bytes"))) << unaligned;
  EXPECT_EQ(program->kept("state:calls"), Floats{2}) << "what is refused is not called";
}

TEST_P(Run, RefusedResults) {
  ASSERT_EQ(peer_init_parameters(program->artifact, 1), PEER_OK);
  ASSERT_EQ(scale(2), "");
  std::vector<peer_view> arguments{x->view(), gain->view()}, rest;
  if (!onCpu())
    rest.push_back(program->room({}, "i32").view());
  auto run = [&](const ProgramTensor &tensor) {
    std::vector<peer_view> results{tensor.view()};
    results.insert(results.end(), rest.begin(), rest.end());
    return program->run("scale", arguments, results);
  };
  std::string more = onCpu() ? "" : ", host_calls (i32 [])";
  EXPECT_EQ(program->run("scale", arguments, {}),
            concat("entry \"scale\": 0 results were given, expected ", onCpu() ? 1 : 2, ": y (f32 [T, 4])", more));
  EXPECT_EQ(run(program->room({4, 4})), "entry \"scale\": result \"y\" is f32 [4, 4], and T is 2");
  EXPECT_EQ(run(program->room({2, 4}, "f64")), "entry \"scale\": result \"y\" is f64 [2, 4], expected f32 [T, 4]");
  EXPECT_EQ(program->kept("state:calls"), Floats{1});
}

TEST_P(Run, RefusedBindings) {
  std::string path = onCpu() ? folder / "MODEL.peer" : folder / "GPU.peer";
  ProgramTensor &factor = program->tensor({4}, {1, 2, 3, 4}), &three = program->tensor({3}, {1, 2, 3});
  EXPECT_EQ(program->bind("nothing", &factor), path + " has no parameter \"nothing\"");
  EXPECT_EQ(program->bind("state:nothing", &factor), path + " has no state \"nothing\"");
  EXPECT_EQ(program->bind("usage:calls", nullptr), path + " has no usage \"calls\"");
  EXPECT_EQ(program->bind("factor", &three), "parameter \"factor\" is f32 [3], expected f32 [4]");
  EXPECT_EQ(program->bind("usage:factor", &factor), "usage \"factor\" is f32 [4], expected f32 [2]");
  int64_t strides[1] = {2};
  peer_view view = factor.view();
  view.strides = strides;
  EXPECT_EQ(peer_bind(program->artifact, "factor", &view), PEER_ERROR);
  EXPECT_STREQ(peer_last_error(), "parameter \"factor\" is not dense: its strides are [2] for the shape [4]");
  view = factor.view();
  view.size = sizeof view + 8;
  EXPECT_EQ(peer_bind(program->artifact, "factor", &view), PEER_ERROR);
  EXPECT_STREQ(peer_last_error(), "a peer_view of the tensor to be bound says that it has 64 bytes, and one of this "
                                  "library (version 1 of the interface) has 56");
  view = factor.view();
  view.device_type = 7;
  EXPECT_EQ(peer_bind(program->artifact, "factor", &view), PEER_ERROR);
  EXPECT_EQ(peer_tensor(program->artifact, "state:calls", &view), PEER_ERROR);
  EXPECT_EQ(peer_last_error(), "the state \"calls\" of " + path + " is there from the first call that uses it on");
}
