#include "DeviceTestSupport.h"

namespace peer::runtime {

namespace {
using nlohmann::json;

json tensor(const std::string &name, const json &shape, const std::string &dtype = "f32") {
  return {{"name", name}, {"dtype", dtype}, {"shape", shape}};
}

/// Entry `name` of these arguments without names for their dimensions.
json entry(const std::string &name, const json &arguments = json::array(), const json &results = json::array()) {
  return {{"name", name},           {"symbol", "entry_" + name}, {"kind", "forward"},       {"of", ""},
          {"arguments", arguments}, {"results", results},        {"kernels", json::array()}};
}
} // namespace

json deviceManifest() {
  json manifest = testManifest();
  manifest["target"] = {{"device", "cuda"}, {"arch", "sm_90"}, {"cpu", "x86-64"}, {"features", json::array()}};
  manifest["groups"] = json::array();
  json scale = manifest["entries"][0], factor = scale["arguments"][1], gain = scale["arguments"][4];
  gain["name"] = "gain";
  scale["arguments"][4] = gain;
  scale["results"].push_back(tensor("host_calls", json::array(), "i32"));
  scale["kernels"] = json::parse(R"([{"name": "scale", "bytes": [16, 32], "flops": [0, 8]},
                                     {"name": "copy", "bytes": [0, 32], "flops": [0, 0]}])");
  auto x = [](int64_t count) {
    json argument = tensor("x", {count});
    argument["role"] = "input";
    return argument;
  };
  json done = tensor("done", json::array(), "i32"), runs = tensor("runs", json::array(), "i32");
  manifest["entries"] = {scale,
                         entry("overrun", {x(8), factor}),
                         entry("beyond", {x(6), factor, gain}),
                         entry("stale", {x(8), factor}),
                         entry("greedy"),
                         entry("unknown"),
                         entry("fickle", json::array(), json::array({runs})),
                         entry("matmul", json::array(), json::array({done}))};
  return manifest;
}

std::string writeDeviceArtifact(const TemporaryFolder &folder, const nlohmann::json &manifest) {
  writeBytes(folder / "GPU.peer", artifactBytes(manifest, PEER_DEVICE_ENTRIES));
  return folder / "GPU.peer";
}

} // namespace peer::runtime
