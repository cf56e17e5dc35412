// peer-run as a user meets it: call, bench, init, inspect, and what it says to bad input.
#include "TestSupport.h"
#include "core/File.h"

#include <sys/wait.h>

using namespace peer::runtime;

namespace {
struct Outcome {
  int code;
  std::string out, error;
};

class Commands : public testing::Test {
protected:
  /// Runs peer-run in the folder with these arguments.
  Outcome run(const std::string &arguments, const std::string &before = "") {
    std::string command = concat("cd ", folder / ".", " && ", before, PEER_RUN, " ", arguments, " >stdout 2>stderr");
    int code = WEXITSTATUS(std::system(command.c_str()));
    return {code, readFile(folder / "stdout").value(), readFile(folder / "stderr").value()};
  }
  void expectError(const std::string &arguments, const std::string &sentence) {
    Outcome result = run(arguments);
    EXPECT_EQ(result.code, 1) << arguments;
    EXPECT_EQ(result.error, "peer-run: error: " + sentence + "\n") << arguments;
    EXPECT_EQ(result.out, "") << arguments;
  }
  void writeInput(const char *name, Tensor tensor) {
    TensorMap tensors;
    tensors.emplace(name, std::move(tensor));
    ASSERT_OK(writeSafetensors(folder / "in", tensors));
  }

  TemporaryFolder folder;
  std::string model = writeArtifact(folder);
};
} // namespace

TEST_F(Commands, InitCallInspect) {
  Outcome init = run("init MODEL.peer --seed 3 --out w");
  EXPECT_EQ(init.code, 0) << init.error;
  EXPECT_EQ(init.out, "w: 1 tensors, 4 parameters\n");
  writeInput("x", floats({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}));
  Outcome call = run("call MODEL.peer scale --weights w --in in --out out --threads 1 --device cpu");
  EXPECT_EQ(call.code, 0) << call.error;
  EXPECT_EQ(call.out + call.error, "");
  EXPECT_EQ(readSafetensors(folder / "out")->at("y").as<float>()[7], 8.0f); // 0.5 * 2 * 8
  Outcome weights = run("inspect w");
  EXPECT_NE(weights.out.find("4 values in 1 tensors, 16 bytes"), std::string::npos) << weights.out;
  EXPECT_NE(weights.out.find("seed = 3"), std::string::npos);
  Outcome artifact = run("inspect MODEL.peer");
  for (const char *part : {"compiled from test.mlir", "parameters: 4 in 1 tensors",
                           "function scale (forward), T a multiple of 2", "0 <= v < 256", "adamw"})
    EXPECT_NE(artifact.out.find(part), std::string::npos) << part << artifact.out;
}

TEST_F(Commands, ScalarsComeWithTheInputs) {
  TensorMap tensors;
  tensors.emplace("tokens", integers({1, 2}));
  Tensor position = Tensor::zeros(DType::I32, {}).value();
  position.as<int32_t>()[0] = 40;
  tensors.emplace("position", std::move(position));
  ASSERT_OK(writeSafetensors(folder / "in", tensors));
  EXPECT_EQ(run("call MODEL.peer sum --in in --out out").code, 0);
  EXPECT_EQ(readSafetensors(folder / "out")->at("sum").as<int64_t>()[0], 43);
}

TEST_F(Commands, BenchJson) {
  Outcome bench = run("bench MODEL.peer scale --dim T=10 --repeat 3 --json");
  ASSERT_EQ(bench.code, 0) << bench.error;
  nlohmann::json json = nlohmann::json::parse(bench.out);
  EXPECT_EQ(json.size(), 7u);
  EXPECT_FALSE(json["device"].get<std::string>().empty());
  EXPECT_EQ(json["entry"], "scale");
  EXPECT_EQ(json["tokens"], 10);
  EXPECT_GE(json["median_us"], json["min_us"]);
  EXPECT_GT(json["stream_gb_per_s"], 0.0);
  ASSERT_EQ(json["kernels"].size(), 2u);
  nlohmann::json kernel = json["kernels"][1];
  EXPECT_EQ(kernel.size(), 5u);
  EXPECT_EQ(kernel["name"], "multiply");
  EXPECT_EQ(kernel["bytes"], 336);
  EXPECT_LE(kernel["median_us"], json["median_us"]);
  EXPECT_TRUE(kernel.contains("gb_per_s") && kernel.contains("gflop_per_s"));
}

TEST_F(Commands, BenchTable) {
  Outcome bench = run("bench MODEL.peer sum --repeat 1");
  EXPECT_EQ(bench.code, 0) << bench.error;
  EXPECT_NE(bench.out.find("sum: T = 1024, 1 calls"), std::string::npos) << bench.out;
}

TEST_F(Commands, HelpIsThere) {
  for (const char *command : {"", "call", "bench", "init", "inspect", "train", "eval", "generate"}) {
    Outcome help = run(std::string(command) + " --help");
    EXPECT_EQ(help.code, 0);
    EXPECT_GT(help.out.size(), 400u) << command;
  }
}

TEST_F(Commands, BadInput) {
  writeInput("x", floats({2, 4}, std::vector<float>(8)));
  expectError("inspect none", "cannot open none: No such file or directory");
  expectError("inspect MODEL.peer --device foo", "unknown device 'foo' (known: cpu, cuda, sim)");
  expectError("call MODEL.peer layer --in in --out out",
              "MODEL.peer has no entry \"layer\" (it has: scale, sum, greedy, liar)");
  expectError(
      "call MODEL.peer scale --in in --out out",
      "entry \"scale\" takes parameters: give them with --weights (peer-run init makes a file of initial ones)");
  expectError("call MODEL.peer sum --in in --out out", "in: entry \"sum\": it has no input \"x\" (its inputs: tokens)");
  expectError("call MODEL.peer sum --out out", "entry \"sum\" takes inputs: give them with --in");
  expectError("bench MODEL.peer scale --dim T=3", "--dim T=3: entry \"scale\" takes multiples of 2");
  expectError("bench MODEL.peer scale --dim S=4", "--dim S=4: entry \"scale\" has no dimension S (it has: T)");
  expectError("bench MODEL.peer scale --dim T", "--dim T: expected NAME=N with N a whole number, such as T=1024");
  expectError("bench MODEL.peer sum --device sim", "MODEL.peer was compiled for the device 'cpu', and 'sim' runs "
                                                   "models compiled for GPUs (peer-opt --target=sm_90)");
  expectError("init MODEL.peer --out none/w", "cannot write none/w: No such file or directory");
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
}

TEST_F(Commands, BadFlags) {
  for (const char *arguments : {"", "frobnicate", "inspect", "inspect MODEL.peer --frob",
                                "inspect MODEL.peer --threads 0", "init MODEL.peer --seed x --out w"}) {
    Outcome result = run(arguments);
    EXPECT_EQ(result.code, 1) << arguments;
    EXPECT_TRUE(result.error.starts_with("peer-run: error: ")) << result.error;
    EXPECT_EQ(std::count(result.error.begin(), result.error.end(), '\n'), 1) << result.error;
  }
}

TEST_F(Commands, NoOptionTakesTheNext) {
  for (auto [arguments, sentence] :
       {std::pair{"init MODEL.peer --out= --seed 3", "--out is empty, expected FILE"},
        {"init MODEL.peer --out '' --seed 3", "--out is empty, expected FILE"},
        {"init MODEL.peer --out --seed 3",
         "--out wants a value, and what follows is the option --seed (as a value: --out=--seed)"},
        {"init MODEL.peer --out --sed=3",
         "--out wants a value, and what follows is the option --sed=3 (as a value: --out=--sed=3)"},
        {"init MODEL.peer --seed 3 --out", "--out wants a value: FILE"},
        {"quantize w -o --tensor t",
         "-o wants a value, and what follows is the option --tensor (as a value: --out=--tensor)"},
        {"quantize w --tensor -o q",
         "--tensor wants a value, and what follows is the option -o (as a value: --tensor=-o)"},
        {"quantize w --tensor= -o q", "--tensor is empty, expected NAME"},
        {"bench MODEL.peer scale --dim= --json", "--dim is empty, expected NAME=N"},
        {"bench MODEL.peer scale --json=yes", "--json takes no value"},
        {"train MODEL.peer --data d --steps 1 --out= --resume", "--out is empty, expected DIR"},
        {"generate MODEL.peer --weights= --prompt x --tokens 1", "--weights is empty, expected FILE"},
        {"generate MODEL.peer --weights w --prompt --tokens 1",
         "--prompt wants a value, and what follows is the option --tokens (as a value: --prompt=--tokens)"},
        {"generate MODEL.peer --weights w --tokens 1",
         "give the text to continue: --prompt TEXT or --prompt-file FILE"},
        {"generate MODEL.peer --weights w --tokens 1 --prompt= --prompt-file p",
         "--prompt and --prompt-file exclude each other"},
        {"inspect ''", "an argument is empty: expected the name of a file or an option"}})
    expectError(arguments, std::string(sentence) + " (see --help)");
  // What stands after an equals sign is a value, whatever it looks like.
  EXPECT_EQ(run("init MODEL.peer --out=--seed").code, 0);
  EXPECT_TRUE(std::filesystem::exists(folder / "--seed"));
  EXPECT_EQ(run("init MODEL.peer --out -w").code, 0);
  EXPECT_TRUE(std::filesystem::exists(folder / "-w"));
}

TEST_F(Commands, ThreadsOfTheEnvironment) {
  for (const char *value : {"", "2", "2,4", " 2 "})
    EXPECT_EQ(run("init MODEL.peer --out w", concat("OMP_NUM_THREADS='", value, "' ")).code, 0) << value;
  for (const char *value : {"abc", "-1", "0", "1e9", "1000000000"}) {
    Outcome result = run("init MODEL.peer --out v", concat("OMP_NUM_THREADS='", value, "' "));
    EXPECT_EQ(result.code, 1) << value;
    EXPECT_EQ(result.error, concat("peer-run: error: OMP_NUM_THREADS is \"", value,
                                   "\", expected a whole number of threads from 1 to 4096\n"));
    result = run("init MODEL.peer --out w --threads 1", concat("OMP_NUM_THREADS='", value, "' "));
    EXPECT_EQ(result.code, 0) << value;
    EXPECT_EQ(result.error, "");
    EXPECT_EQ(run("inspect MODEL.peer", concat("OMP_NUM_THREADS='", value, "' ")).code, 0) << value;
  }
}

TEST_F(Commands, LongNames) {
  for (size_t length : {size_t{240}, size_t{245}, size_t{255}}) {
    std::string name(length, 'n');
    EXPECT_EQ(run("init MODEL.peer --out " + name).error, "");
    EXPECT_TRUE(std::filesystem::exists(folder / name));
  }
  std::string name(256, 'n');
  expectError("init MODEL.peer --out " + name, concat("cannot write ", name, ": File name too long"));
  for (const std::string &file : folder.files())
    EXPECT_EQ(file.find(".tmp."), std::string::npos) << file;
}

TEST_F(Commands, WhatControlsATerminalIsShown) {
  Outcome result = run("inspect \"$(printf 'no\\nsuch\\033[31m\\377')\"");
  EXPECT_EQ(result.error, "peer-run: error: cannot open no\\nsuch\\x1b[31m\\xff: No such file or directory\n");
  TensorMap tensors;
  tensors.emplace("a\x1b[31m\nb", floats({1}, {1}));
  ASSERT_OK(writeSafetensors(folder / "f", tensors, {{"k", "v\x07\nw"}}));
  result = run("inspect f");
  EXPECT_NE(result.out.find("a\\x1b[31m\\nb"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("k = v\\x07\nw"), std::string::npos) << result.out;
}

TEST_F(Commands, AFullDiskLeavesTheOldFile) {
  nlohmann::json manifest = testManifest();
  manifest["parameters"][0]["shape"] = {100000};
  manifest["entries"][0]["arguments"][1]["shape"] = {100000};
  writeArtifact(folder, manifest);
  writeBytes(folder / "w", "old");
  // A limit on file sizes fails writes as a full disk does.
  Outcome init = run("init MODEL.peer --out w", "trap '' XFSZ; ulimit -f 100; ");
  EXPECT_EQ(init.code, 1);
  EXPECT_EQ(init.error, "peer-run: error: cannot write w: File too large\n");
  EXPECT_EQ(readFile(folder / "w").value(), "old");
  for (const std::string &file : folder.files())
    EXPECT_EQ(file.find(".tmp."), std::string::npos) << file;
}
