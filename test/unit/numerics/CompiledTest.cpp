#include "CompiledTest.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace peer::numerics {

namespace {
std::string readFile(const std::string &path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}
} // namespace

std::unique_ptr<Compiled> Compiled::compile(const std::string &text, Code code) {
  std::unique_ptr<Compiled> result(new Compiled);
  std::string name = (std::filesystem::temp_directory_path() / "peer-numerics-XXXXXX").string();
  if (!mkdtemp(name.data())) {
    ADD_FAILURE() << "cannot make a temporary folder";
    return nullptr;
  }
  result->folder = name;
  std::string model = name + "/model.mlir", artifact = name + "/model.peer", messages = name + "/messages";
  std::ofstream(model) << text;
  bool gpu = code == Code::Gpu || code == Code::GpuLoops, loops = code == Code::Loops || code == Code::GpuLoops;
  // PEER_TEST_TARGET: another of this machine's vector widths; PEER_TEST_GPU: another GPU.
  const char *target = std::getenv(gpu ? "PEER_TEST_GPU" : "PEER_TEST_TARGET");
  std::string command = std::string(PEER_OPT) + " " + model + " --target=" +
                        (target ? target
                         : gpu  ? "sm_90"
                                : "cpu") +
                        (loops ? " --plain-loops" : "") + " --ptxas=none -o " + artifact + " 2> " + messages;
  if (std::system(command.c_str()) != 0) {
    ADD_FAILURE() << command << "\n" << readFile(messages) << "\n" << text;
    return nullptr;
  }
  auto session = runtime::Session::open(artifact, gpu ? "sim" : "cpu");
  if (!session.ok()) {
    ADD_FAILURE() << session.message();
    return nullptr;
  }
  result->opened = std::move(*session);
  if (code == Code::Gpu)
    result->recording = Recording::start(artifact);
  return result;
}

Compiled::~Compiled() {
  opened.reset();
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
}

runtime::TensorMap Compiled::call(const std::string &entry, const runtime::TensorMap &inputs,
                                  const runtime::ScalarMap &scalars) {
  if (recording)
    recording->called(entry, inputs, scalars);
  auto results = opened->call(entry, inputs, scalars);
  if (!results.ok()) {
    ADD_FAILURE() << results.message();
    return {};
  }
  if (recording)
    recording->computed(*results);
  return std::move(*results);
}

void Compiled::expect(const std::string &result, const runtime::Shape &shape, const std::vector<double> &values,
                      double tolerance, runtime::DType dtype) {
  if (recording)
    recording->expected(result, shape, values, dtype, tolerance);
}

bool Compiled::initParameters(uint64_t seed) {
  if (recording)
    recording->initialised(seed);
  runtime::Status status = opened->initParameters(seed);
  EXPECT_TRUE(status.ok()) << status.message();
  return status.ok();
}

Difference difference(const runtime::Tensor &actual, const std::vector<double> &expected) {
  Difference result;
  auto values = actual.as<float>();
  if (values.size() != expected.size())
    return {INFINITY, 0};
  for (size_t i = 0; i < expected.size(); ++i) {
    double error = std::abs(values[i] - expected[i]) / (1 + std::abs(expected[i]));
    // Not-a-number compares false: it is the largest of differences.
    if (!(error <= result.most))
      result = {std::isnan(error) ? INFINITY : error, i};
  }
  return result;
}

} // namespace peer::numerics
