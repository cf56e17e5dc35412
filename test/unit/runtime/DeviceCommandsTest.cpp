// peer-run with models compiled for GPUs: which device runs what, and what it says where one cannot.
#include "DeviceTestSupport.h"

#include "core/File.h"
#include "session/peer_runtime.h"

#include <sys/wait.h>

using namespace peer::runtime;

namespace {
struct Outcome {
  int code;
  std::string out, error;
};

class DeviceCommands : public testing::Test {
protected:
  void SetUp() override {
    writeDeviceArtifact(folder);
    TensorMap tensors;
    tensors.emplace("x", floats({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}));
    ASSERT_OK(writeSafetensors(folder / "in", tensors));
    tensors.at("x") = floats({8}, std::vector<float>(8));
    ASSERT_OK(writeSafetensors(folder / "eight", tensors));
    ASSERT_EQ(run("init GPU.peer --out w").error, "");
  }
  Outcome run(const std::string &arguments, const std::string &before = "") {
    std::string command = concat("cd ", folder / ".", " && ", before, PEER_RUN, " ", arguments, " >stdout 2>stderr");
    int code = WEXITSTATUS(std::system(command.c_str()));
    return {code, readFile(folder / "stdout").value(), readFile(folder / "stderr").value()};
  }
  /// The whole of stderr, which ends with one line feed, of a command that fails.
  std::string failure(const std::string &arguments, const std::string &before = "") {
    Outcome result = run(arguments, before);
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(std::count(result.error.begin(), result.error.end(), '\n'), 1) << result.error;
    return result.error;
  }

  TemporaryFolder folder;
};
} // namespace

TEST_F(DeviceCommands, CallInTheSimulator) {
  Outcome call = run("call GPU.peer scale --weights w --in in --out out --device sim");
  EXPECT_EQ(call.code, 0) << call.error;
  EXPECT_EQ(call.error, "");
  // The scalar `gain` is 0 unless it is given.
  EXPECT_EQ(readSafetensors(folder / "out")->at("y").as<float>()[7], 0.0f);
}

TEST_F(DeviceCommands, BenchReportsTheSimulator) {
  Outcome json = run("bench GPU.peer scale --dim T=6 --repeat 2 --json --device sim");
  ASSERT_EQ(json.code, 0) << json.error;
  nlohmann::json root = nlohmann::json::parse(json.out);
  EXPECT_GT(root["lane_operations_per_s"], 0.0);
  EXPECT_GT(root["kernels"][0]["median_us"], 0.0);
  Outcome table = run("bench GPU.peer scale --dim T=6 --repeat 2 --device sim");
  for (const char *part : {"device: sim (a simulated GPU on ", "million lane-operations per second", "of stream"})
    EXPECT_NE(table.out.find(part), std::string::npos) << table.out;
}

TEST_F(DeviceCommands, InspectShowsTheArchitecture) {
  Outcome inspect = run("inspect GPU.peer");
  EXPECT_NE(inspect.out.find("target: cuda, sm_90, x86-64\n"), std::string::npos) << inspect.out;
}

TEST_F(DeviceCommands, FaultsEndACommand) {
  std::string error = failure("call GPU.peer overrun --weights w --in eight --out out --device sim");
  EXPECT_TRUE(
      error.starts_with("peer-run: error: entry \"overrun\" of GPU.peer: out of bounds in kernel 'scale', PTX line "))
      << error;
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
}

TEST_F(DeviceCommands, WrongDevices) {
  std::string rest = "call GPU.peer greedy --out out --device ";
  EXPECT_EQ(failure(rest + "cpu"),
            "peer-run: error: GPU.peer was compiled for GPUs (sm_90): it runs on the devices cuda and sim\n");
  EXPECT_EQ(failure("init GPU.peer --out out --device cpu"),
            "peer-run: error: GPU.peer was compiled for GPUs (sm_90): it runs on the devices cuda and sim\n");
  writeArtifact(folder);
  EXPECT_EQ(failure("bench MODEL.peer sum --device cuda"),
            "peer-run: error: MODEL.peer was compiled for the device 'cpu', and 'cuda' runs models compiled for GPUs "
            "(peer-opt --target=sm_90)\n");
}

TEST_F(DeviceCommands, NoDriver) {
  std::string error = failure("call GPU.peer greedy --out out", "PEER_CUDA_LIBRARY=none.so ");
  EXPECT_TRUE(error.starts_with("peer-run: error: GPU.peer cannot run on the device cuda: ")) << error;
  EXPECT_NE(error.find("driver"), std::string::npos) << error;
  EXPECT_TRUE(error.ends_with("; the device sim executes it on the CPU (--device=sim)\n")) << error;
}

TEST_F(DeviceCommands, CApi) {
  peer_artifact *artifact = nullptr;
  EXPECT_EQ(peer_open_on((folder / "GPU.peer").c_str(), "cpu", &artifact), PEER_ERROR);
  EXPECT_EQ(peer_open_on((folder / "GPU.peer").c_str(), nullptr, &artifact), PEER_ERROR);
  ASSERT_EQ(peer_open_on((folder / "GPU.peer").c_str(), "sim", &artifact), PEER_OK) << peer_last_error();
  ASSERT_EQ(peer_init_parameters(artifact, 1), PEER_OK);
  float values[8] = {1, 2, 3, 4, 5, 6, 7, 8}, scaled[8], gain = 1;
  int32_t runs = 0;
  int64_t shape[2] = {2, 4};
  auto view = [&](const char *dtype, size_t rank, void *data) {
    return peer_view{sizeof(peer_view), PEER_CPU, 0, dtype, rank, shape, nullptr, data};
  };
  peer_view arguments[2] = {view("f32", 2, values), view("f32", 0, &gain)};
  peer_view results[2] = {view("f32", 2, scaled), view("i32", 0, &runs)}, parameter{};
  for (float factor : {3.0f, 4.0f, 5.0f}) {
    ASSERT_EQ(peer_tensor(artifact, "factor", &parameter), PEER_OK);
    static_cast<float *>(parameter.data)[1] = factor;
    ASSERT_EQ(peer_run(artifact, "scale", arguments, 2, results, 2, nullptr), PEER_OK) << peer_last_error();
    EXPECT_EQ(scaled[5], 6 * factor);
  }
  peer_close(artifact);
}
