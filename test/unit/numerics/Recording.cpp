#include "Recording.h"

#include "core/Hash.h"
#include "model/Random.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iomanip>
#include <sstream>
#include <unistd.h>

namespace peer::numerics {

using namespace runtime;

namespace {
constexpr double kSimulatorTolerance = 1e-4;

std::string jsonText(const std::string &text) {
  std::ostringstream out;
  out << std::quoted(text);
  return out.str();
}

std::string join(const std::vector<std::string> &parts) {
  std::string text;
  for (const std::string &part : parts)
    text += (text.empty() ? "" : ", ") + part;
  return text;
}

Result<Tensor> toTensor(DType dtype, const Shape &shape, const std::vector<double> &values) {
  Result<Tensor> tensor = Tensor::zeros(dtype, shape);
  if (tensor.ok() && dtype == DType::F64)
    std::ranges::copy(values, tensor->as<double>().begin());
  else if (tensor.ok())
    std::ranges::transform(values, tensor->as<float>().begin(), [](double value) { return static_cast<float>(value); });
  return tensor;
}

/// The running test, such as RoutingForward.Mix/GpuStatic.
std::string testName() {
  const auto *info = ::testing::UnitTest::GetInstance()->current_test_info();
  std::string suite = info ? info->test_suite_name() : "";
  // Without the name of an instantiation.
  return info ? suite.substr(suite.find('/') + 1) + "." + info->name() : "none";
}
} // namespace

std::unique_ptr<Recording> Recording::start(const std::string &artifact) {
  const char *folder = std::getenv("PEER_TEST_RECORD");
  if (!folder)
    return nullptr;
  std::ostringstream bytes;
  bytes << std::ifstream(artifact, std::ios::binary).rdbuf();
  std::string content = bytes.str();
  std::ostringstream name;
  name << std::hex << std::setw(16) << std::setfill('0') << fnv1a(content.data(), content.size()) << ".peer";
  std::filesystem::create_directories(folder);
  // Another process may record the same artifact now: each moves a copy of its own into place.
  std::string target = std::string(folder) + "/" + name.str(), copy = target + "." + std::to_string(getpid());
  if (!std::filesystem::exists(target)) {
    std::filesystem::copy_file(artifact, copy);
    std::filesystem::rename(copy, target);
  }
  return std::unique_ptr<Recording>(new Recording(folder, name.str()));
}

std::string Recording::add(const std::string &name, Result<Tensor> tensor) {
  if (!tensor.ok()) {
    ADD_FAILURE() << tensor.message();
    return "";
  }
  auto type = static_cast<uint64_t>(tensor->dtype());
  auto [found, isNew] =
      known.try_emplace({tensor->shape(), fnv1a(tensor->data(), tensor->bytes(), format::kFnvStart ^ type)},
                        concat(calls.size() - 1, "/", name));
  if (isNew)
    tensors.emplace(found->second, std::move(*tensor));
  return found->second;
}

void Recording::called(const std::string &entry, const TensorMap &inputs, const ScalarMap &scalars) {
  endCall();
  calls.push_back({entry, scalars, {}, {}, {}});
  for (const auto &[name, tensor] : inputs)
    calls.back().inputs[name] = add("in/" + name, tensor.clone());
}

void Recording::computed(const TensorMap &results) {
  for (const auto &[name, tensor] : results)
    if (tensor.dtype() == DType::F32)
      if (Result<Tensor> copy = tensor.clone(); copy.ok())
        calls.back().computed.emplace(name, std::move(*copy));
}

void Recording::expected(const std::string &result, const Shape &shape, const std::vector<double> &values, DType dtype,
                         const Tolerance &tolerance) {
  // Integers as f64: exact, and not-a-number among them says "unspecified". Tolerances of their own may be less than the last place of an f32.
  bool exact = isInteger(dtype), each = !exact && !tolerance.each.empty();
  Expected noted{result, "", exact ? 0 : tolerance.relative, ""};
  noted.tensor =
      add("out/" + result, toTensor(exact || each || dtype == DType::F64 ? DType::F64 : DType::F32, shape, values));
  if (each)
    noted.tolerances = add("tolerances/" + result, toTensor(DType::F32, shape, tolerance.each));
  calls.back().expected.push_back(noted);
  calls.back().computed.clear();
}

void Recording::endCall() {
  if (calls.empty())
    return;
  for (auto &[name, tensor] : std::exchange(calls.back().computed, {}))
    calls.back().expected.push_back({name, add("out/" + name, std::move(tensor)), kSimulatorTolerance, ""});
}

Recording::~Recording() {
  endCall();
  std::vector<std::string> texts;
  for (const Call &call : calls) {
    std::vector<std::string> scalars, inputs, results;
    for (const auto &[name, tensor] : call.inputs)
      inputs.push_back(jsonText(name) + ": " + jsonText(tensor));
    for (const auto &[name, value] : call.scalars)
      scalars.push_back(jsonText(name) + ": " + concat(std::setprecision(17), value));
    for (const Expected &each : call.expected)
      results.push_back("{\"name\": " + jsonText(each.result) + ", \"tensor\": " + jsonText(each.tensor) +
                        (each.tolerances.empty() ? ", \"tolerance\": " + concat(each.tolerance)
                                                 : ", \"tolerances\": " + jsonText(each.tolerances)) +
                        "}");
    texts.push_back("{\"entry\": " + jsonText(call.entry) + ", \"scalars\": {" + join(scalars) + "}, \"inputs\": {" +
                    join(inputs) + "}, \"results\": [" + join(results) + "]}");
  }
  std::string name = testName(), file = name;
  std::ranges::replace(file, '/', '.');
  std::string text = "{\"name\": " + jsonText(name) + ", \"artifact\": " + jsonText(artifact) +
                     (seeds.empty() ? "" : ", \"seed\": " + std::to_string(seeds[0])) + ", \"calls\": [" + join(texts) +
                     "]}";
  // A test may compile several descriptions.
  int count = 0;
  auto path = [&] { return folder + "/" + file + "-" + std::to_string(count) + ".case"; };
  while (std::filesystem::exists(path()))
    ++count;
  if (Status status = writeSafetensors(path(), tensors, {{"case", text}}); !status.ok())
    ADD_FAILURE() << status.message();
}

} // namespace peer::numerics
