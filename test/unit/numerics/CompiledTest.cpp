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

double valueAt(const runtime::Tensor &tensor, size_t i) {
  switch (tensor.dtype()) {
  case runtime::DType::BF16:
    return runtime::bf16ToFloat(tensor.as<uint16_t>()[i]);
  case runtime::DType::I32:
    return tensor.as<int32_t>()[i];
  case runtime::DType::F64:
    return tensor.as<double>()[i];
  default:
    return tensor.as<float>()[i];
  }
}

bool within(double actual, double expected, double tolerance) {
  return actual == expected || (std::isnan(actual) && std::isnan(expected)) ||
         (std::isfinite(expected) && std::abs(actual - expected) <= tolerance);
}
} // namespace

std::unique_ptr<Compiled> Compiled::compile(const std::string &text, Code code, const std::string &flags) {
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
  std::string command = std::string(PEER_OPT) + " " + model + " --internal-ops --target=" +
                        (target ? target
                         : gpu  ? "sm_90"
                                : "cpu") +
                        (loops ? " --plain-loops" : "") + " " + flags + " --ptxas=none -o " + artifact + " 2> " +
                        messages;
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

::testing::AssertionResult Compiled::agrees(const runtime::TensorMap &results, const std::string &name,
                                            const runtime::Shape &shape, const std::vector<double> &values,
                                            const Tolerance &tolerance) {
  auto failed = ::testing::AssertionFailure() << "result \"" << name << "\" ";
  auto found = results.find(name);
  if (found == results.end())
    return failed << "is not there";
  const runtime::Tensor &actual = found->second;
  bool exact = runtime::isInteger(actual.dtype());
  if (recording)
    recording->expected(name, shape, values, actual.dtype(), tolerance);
  if (actual.shape() != shape)
    return failed << "has shape " << runtime::shapeText(actual.shape()) << ", expected " << runtime::shapeText(shape);
  size_t wrong = 0, first = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    bool unspecified = exact && std::isnan(values[i]);
    if (!unspecified && !within(valueAt(actual, i), values[i], exact ? 0 : tolerance.of(values[i], i)))
      first = wrong++ == 0 ? i : first;
  }
  if (wrong == 0)
    return ::testing::AssertionSuccess();
  return failed << "has " << wrong << " wrong of " << values.size() << " elements, the first at " << first << ": got "
                << valueAt(actual, first) << ", expected " << values[first] << " to within "
                << (exact ? 0 : tolerance.of(values[first], first));
}

bool Compiled::initParameters(uint64_t seed) {
  if (recording)
    recording->initialised(seed);
  runtime::Status status = opened->initParameters(seed);
  EXPECT_TRUE(status.ok()) << status.message();
  return status.ok();
}

} // namespace peer::numerics
