#include "TestSupport.h"

#include "core/File.h"
#include "core/Hash.h"
#include "model/Random.h"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <unistd.h>

namespace peer::runtime {

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "peer-test-XXXXXX").string();
  path = mkdtemp(pattern.data());
}

TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(path); }

std::vector<std::string> TemporaryFolder::files() const {
  std::vector<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(path))
    names.push_back(entry.path().filename().string());
  return names;
}

nlohmann::json testManifest() {
  return nlohmann::json::parse(R"({
    "format": 1, "compiler": "a test", "model": "test.mlir",
    "target": {"device": "cpu", "cpu": "x86-64", "features": ["sse2"]},
    "parameters": [
      {"name": "factor", "dtype": "f32", "shape": [4], "group": "default", "trainable": true, "init": {"kind": "constant", "value": 2}}],
    "groups": [{"name": "default", "optimizer": "adamw", "learning_rate": 0.5, "lazy": false}],
    "entries": [
      {"name": "scale", "symbol": "entry_scale", "kind": "forward", "of": "", "dims": {"T": {"multiple_of": 2}},
       "arguments": [
         {"name": "x", "role": "input", "dtype": "f32", "shape": ["T", 4]},
         {"name": "factor", "role": "parameter", "dtype": "f32", "shape": [4]},
         {"name": "calls", "role": "state", "dtype": "f32", "shape": [], "updated": true},
         {"name": "factor", "role": "usage", "dtype": "f32", "shape": [2], "updated": true},
         {"name": "learning_rate.default", "role": "scalar", "dtype": "f32", "shape": []}],
       "results": [{"name": "y", "dtype": "f32", "shape": ["T", 4]}],
       "kernels": [{"name": "allocate", "bytes": [0, 0], "flops": [0, 0]}, {"name": "multiply", "bytes": [16, 32], "flops": [0, 8]}]},
      {"name": "sum", "symbol": "entry_sum", "kind": "forward", "of": "", "dims": {"T": {}},
       "arguments": [
         {"name": "tokens", "role": "input", "dtype": "i32", "shape": ["T"], "range": [0, 256]},
         {"name": "position", "role": "scalar", "dtype": "i32", "shape": [], "range": [0, 100]}],
       "results": [{"name": "sum", "dtype": "i64", "shape": []}, {"name": "again", "dtype": "i64", "shape": []}], "kernels": []},
      {"name": "greedy", "symbol": "entry_greedy", "kind": "forward", "of": "", "arguments": [], "results": [], "kernels": []},
      {"name": "liar", "symbol": "entry_liar", "kind": "forward", "of": "", "arguments": [],
       "results": [{"name": "y", "dtype": "f32", "shape": [2]}], "kernels": []}]})");
}

std::string artifactBytes(const nlohmann::json &manifest) { return artifactBytes(manifest, PEER_TEST_ENTRIES); }

std::string artifactBytes(const nlohmann::json &manifest, const std::string &source) {
  static std::map<std::string, std::string> objects;
  std::string &object = objects[source];
  if (object.empty()) {
    TemporaryFolder folder;
    std::string command = concat(PEER_TEST_CC, " -shared -fPIC -O1 -o ", folder / "entries.so", " ", source);
    EXPECT_EQ(std::system(command.c_str()), 0);
    object = readFile(folder / "entries.so").value();
  }
  std::string text = manifest.dump(), bytes = object + text, footer("PEERART\0", 8);
  auto append = [&](auto value) { footer.append(reinterpret_cast<const char *>(&value), sizeof value); };
  append(uint32_t{1});
  append(uint32_t{0});
  append(uint64_t{object.size()});
  append(uint64_t{text.size()});
  append(fnv1a(bytes.data(), bytes.size()));
  append(uint64_t{0});
  return bytes + footer;
}

std::string writeArtifact(const TemporaryFolder &folder, const nlohmann::json &manifest, const std::string &name) {
  writeBytes(folder / name, artifactBytes(manifest));
  return folder / name;
}

std::unique_ptr<Session> openSession(const TemporaryFolder &folder) {
  Result<std::unique_ptr<Session>> session = Session::open(writeArtifact(folder));
  EXPECT_TRUE(session.ok()) << session.message();
  return std::move(session).value();
}

std::string safetensorsBytes(const std::string &header, const std::string &data) {
  uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

Tensor floats(Shape shape, const std::vector<float> &values) {
  Tensor tensor = Tensor::zeros(DType::F32, std::move(shape)).value();
  EXPECT_EQ(values.size(), tensor.as<float>().size());
  std::copy(values.begin(), values.end(), tensor.as<float>().begin());
  return tensor;
}

Tensor integers(const std::vector<int32_t> &values) {
  Tensor tensor = Tensor::zeros(DType::I32, {static_cast<int64_t>(values.size())}).value();
  std::copy(values.begin(), values.end(), tensor.as<int32_t>().begin());
  return tensor;
}

void writeBytes(const std::string &path, const std::string &bytes) {
  std::filesystem::remove(path); // a new inode: the loader must not meet a file it has mapped
  std::ofstream(path, std::ios::binary) << bytes;
}

} // namespace peer::runtime
