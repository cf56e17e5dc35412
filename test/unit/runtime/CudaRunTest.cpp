// Calls on streams of the caller's, with the driver made for tests, which runs nothing before somebody waits for it.
#include "ProgramTestSupport.h"

#include <cstring>

using namespace peer::runtime;
using cuda::Stream;

namespace {
using Floats = std::vector<float>;

class CudaRun : public testing::Test {
protected:
  void SetUp() override {
    Program("cuda", writeDeviceArtifact(folder)); // the driver is there from here on, and counts
    alive = Program::counts().alive;
    program = std::make_unique<Program>("cuda", folder / "GPU.peer");
    ASSERT_EQ(peer_init_parameters(program->artifact, 1), PEER_OK);
    x = &program->tensor({2, 4}, {1, 1, 1, 1, 2, 2, 2, 2});
    runs = &program->room({}, "i32");
    gain = &program->onHost({}, {10});
  }

  void TearDown() override {
    for (Stream stream : streams)
      EXPECT_EQ(Program::driver<cuda::Code(Stream)>("cuStreamDestroy_v2")(stream), cuda::kSuccess);
    program.reset();
    EXPECT_EQ(Program::counts().alive, alive) << "nothing is left";
  }

  Stream makeStream() {
    Stream stream = nullptr;
    EXPECT_EQ(Program::driver<cuda::Code(Stream *, unsigned)>("cuStreamCreate")(&stream, cuda::kStreamNonBlocking),
              cuda::kSuccess);
    streams.push_back(stream);
    return stream;
  }
  static void wait(Stream stream) {
    EXPECT_EQ(Program::driver<cuda::Code(Stream)>("cuStreamSynchronize")(stream), cuda::kSuccess);
  }
  /// y = 2 * gain * x on a stream.
  std::string scale(Stream stream, const ProgramTensor &y) {
    peer_options options{.size = sizeof options, .flags = 0, .threads = 0, .stream = stream};
    return program->run("scale", {x->view(), gain->view()}, {y.view(), runs->view()}, &options);
  }

  TemporaryFolder folder;
  std::unique_ptr<Program> program;
  std::vector<Stream> streams;
  uint64_t alive = 0;
  ProgramTensor *x = nullptr, *runs = nullptr, *gain = nullptr;
};

const Floats kTwenties{20, 20, 20, 20, 40, 40, 40, 40};
} // namespace

TEST_F(CudaRun, ACallOnAStreamIsNotWaitedFor) {
  Stream stream = makeStream();
  ProgramTensor &first = program->room({2, 4}), &second = program->room({2, 4});
  ASSERT_EQ(scale(stream, first), "");
  EXPECT_EQ(first.values(), nullptr) << "nothing has run";
  cuda::fake::Counts before = Program::counts();
  ASSERT_EQ(scale(stream, second), "");
  // The value of a scalar was taken at once.
  static_cast<float *>(gain->data)[0] = 7;
  cuda::fake::Counts after = Program::counts();
  EXPECT_EQ(after.synchronizations, before.synchronizations);
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(after.captures + after.graphLaunches, before.captures + before.graphLaunches);
  EXPECT_EQ(after.bytesIn + after.bytesOut, before.bytesIn + before.bytesOut);
  wait(stream);
  EXPECT_EQ(first.floats(), kTwenties);
  EXPECT_EQ(second.floats(), kTwenties);
  EXPECT_EQ(runs->values<int32_t>()[0], 2);
}

TEST_F(CudaRun, WhatTheLibraryDoesComesBeforeAndAfter) {
  Stream stream = makeStream();
  ProgramTensor &y = program->room({2, 4});
  for (int call = 1; call <= 3; ++call) {
    ASSERT_EQ(scale(stream, y), "");
    // Read through the library's own stream, which comes after the caller's.
    EXPECT_EQ(program->kept("state:calls"), Floats{static_cast<float>(call)});
    EXPECT_EQ(y.floats(), kTwenties);
  }
  ASSERT_EQ(scale(stream, y), "");
  ASSERT_EQ(peer_clear_states(program->artifact), PEER_OK);
  ASSERT_EQ(scale(stream, y), "");
  EXPECT_EQ(program->kept("state:calls"), Floats{1});
}

TEST_F(CudaRun, StreamsInTurnShareScratchMemory) {
  Stream both[2] = {makeStream(), makeStream()};
  std::vector<ProgramTensor *> results;
  for (int call = 0; call < 6; ++call) {
    results.push_back(&program->room({2, 4}));
    ASSERT_EQ(scale(both[call % 2], *results.back()), "");
    EXPECT_EQ(results.back()->values(), nullptr);
  }
  // Waiting for the later one waits for all before it, in whatever stream it is.
  wait(both[1]);
  for (ProgramTensor *y : results)
    EXPECT_EQ(y->floats(), kTwenties);
  ProgramTensor &y = program->room({2, 4});
  EXPECT_EQ(program->run("scale", {x->view(), gain->view()}, {y.view(), runs->view()}), "");
  EXPECT_EQ(y.floats(), kTwenties);
  EXPECT_EQ(program->kept("state:calls"), Floats{7});
}

TEST_F(CudaRun, BoundMemoryOnAStream) {
  Stream stream = makeStream();
  ProgramTensor &factor = program->tensor({4}, {1, 2, 3, 4}), &calls = program->tensor({}, {5});
  ASSERT_EQ(program->bind("factor", &factor), "");
  ASSERT_EQ(program->bind("state:calls", &calls), "");
  ProgramTensor &y = program->room({2, 4});
  ASSERT_EQ(scale(stream, y), "");
  EXPECT_EQ(calls.floats(), Floats{5});
  wait(stream);
  EXPECT_EQ(calls.floats(), Floats{6});
  EXPECT_EQ(y.floats(), (Floats{10, 20, 30, 40, 20, 40, 60, 80}));
  ProgramTensor &host = program->onHost({4}, {1, 2, 3, 4});
  EXPECT_EQ(program->bind("factor", &host),
            "parameter \"factor\" is in memory of the host, and kernels on the device cuda read memory of the GPU");
}

TEST_F(CudaRun, ARecordedCallIsPartOfTheCallersGraph) {
  Stream stream = makeStream();
  ProgramTensor &y = program->room({2, 4});
  // The very first call, which loads the module and allocates, in the mode that forbids both.
  EXPECT_EQ(Program::driver<cuda::Code(Stream, int)>("cuStreamBeginCapture_v2")(stream, cuda::kCaptureGlobal), 0);
  ASSERT_EQ(scale(stream, y), "");
  ASSERT_EQ(scale(stream, y), "");
  cuda::Graph graph = nullptr;
  cuda::GraphExec exec = nullptr;
  ASSERT_EQ(Program::driver<cuda::Code(Stream, cuda::Graph *)>("cuStreamEndCapture")(stream, &graph), 0);
  ASSERT_EQ(Program::driver<cuda::Code(cuda::GraphExec *, cuda::Graph, unsigned long long)>(
                "cuGraphInstantiateWithFlags")(&exec, graph, 0),
            0);
  EXPECT_EQ(program->kept("state:calls"), Floats{0});
  for (int launch = 1; launch <= 3; ++launch) {
    x->values(true)[0] = static_cast<float>(launch);
    EXPECT_EQ(Program::driver<cuda::Code(cuda::GraphExec, Stream)>("cuGraphLaunch")(exec, stream), 0);
    wait(stream);
    EXPECT_EQ(y.values()[0], static_cast<float>(20 * launch));
    EXPECT_EQ(y.values()[7], 40.0f);
    // Other calls leave the memory of the graph to it.
    ProgramTensor &other = program->room({2, 4});
    ASSERT_EQ(program->run("scale", {x->view(), gain->view()}, {other.view(), runs->view()}), "");
    EXPECT_EQ(other.values()[0], static_cast<float>(20 * launch));
    wait(stream);
  }
  EXPECT_EQ(Program::driver<cuda::Code(cuda::GraphExec)>("cuGraphExecDestroy")(exec), cuda::kSuccess);
  EXPECT_EQ(Program::driver<cuda::Code(cuda::Graph)>("cuGraphDestroy")(graph), cuda::kSuccess);
}

TEST_F(CudaRun, MemoryOfTheHostAndOfTheGpuInOneCall) {
  ProgramTensor &in = program->onHost({2, 4}, {1, 1, 1, 1, 2, 2, 2, 2}), &out = program->onHost({2, 4}, Floats(8));
  ProgramTensor &y = program->room({2, 4});
  for (int call = 0; call < 3; ++call) {
    ASSERT_EQ(program->run("scale", {in.view(), gain->view()}, {y.view(), runs->view()}), "");
    EXPECT_EQ(y.floats(), kTwenties);
    ASSERT_EQ(program->run("scale", {x->view(), gain->view()}, {out.view(), runs->view()}), "");
    EXPECT_EQ(out.floats(), kTwenties);
  }
  // All in memory of the host: the library's own graphs.
  int32_t count = 0;
  peer_view counted{sizeof counted, PEER_CPU, 0, "i32", 0, nullptr, nullptr, &count};
  for (int call = 0; call < 3; ++call) {
    std::memset(out.data, 0, out.bytes);
    ASSERT_EQ(program->run("scale", {in.view(), gain->view()}, {out.view(), counted}), "");
    EXPECT_EQ(out.floats(), kTwenties);
  }
  EXPECT_EQ(count, 8) << "the third was a graph";
  EXPECT_EQ(program->kept("state:calls"), Floats{9});
}

TEST_F(CudaRun, WhatAStreamCannotHave) {
  Stream stream = makeStream();
  ProgramTensor &host = program->onHost({2, 4}, Floats(8)), &y = program->room({2, 4});
  peer_options options{.size = sizeof options, .flags = 0, .threads = 0, .stream = stream};
  EXPECT_EQ(program->run("scale", {host.view(), gain->view()}, {y.view(), runs->view()}, &options),
            "entry \"scale\": input \"x\" is in memory of the host, and a call on a stream takes memory of the GPU");
  EXPECT_EQ(program->run("scale", {x->view(), gain->view()}, {host.view(), runs->view()}, &options),
            "entry \"scale\": result \"y\" is in memory of the host, and a call on a stream takes memory of the GPU");
  nlohmann::json manifest = deviceManifest();
  manifest["entries"][0]["arguments"][0]["dtype"] = "i32";
  manifest["entries"][0]["arguments"][0]["range"] = {0, 4};
  writeBytes(folder / "INTEGERS.peer", artifactBytes(manifest, PEER_DEVICE_ENTRIES));
  Program integers("cuda", folder / "INTEGERS.peer");
  ASSERT_EQ(peer_init_parameters(integers.artifact, 1), PEER_OK);
  ProgramTensor &indices = integers.room({2, 4}, "i32");
  std::memset(indices.values<char>(true), 0, indices.bytes);
  auto run = [&] { return integers.run("scale", {indices.view(), gain->view()}, {y.view(), runs->view()}, &options); };
  EXPECT_EQ(run(), "entry \"scale\": input \"x\" must lie in [0, 4), which is not looked at in memory of the GPU: "
                   "PEER_TRUST_INPUTS says that it does");
  options.flags = PEER_TRUST_INPUTS;
  EXPECT_EQ(run(), "");
}
