#include "DeviceTestSupport.h"

namespace peer::runtime {

nlohmann::json deviceManifest() {
  return nlohmann::json::parse(R"({
    "format": 1, "compiler": "a test", "model": "test.mlir",
    "target": {"device": "cuda", "arch": "sm_90", "cpu": "x86-64", "features": []},
    "parameters": [
      {"name": "factor", "dtype": "f32", "shape": [4], "group": "default", "trainable": true, "init": {"kind": "constant", "value": 2}}],
    "groups": [],
    "entries": [
      {"name": "scale", "symbol": "entry_scale", "kind": "forward", "of": "", "dims": {"T": {"multiple_of": 2}},
       "arguments": [
         {"name": "x", "role": "input", "dtype": "f32", "shape": ["T", 4]},
         {"name": "factor", "role": "parameter", "dtype": "f32", "shape": [4]},
         {"name": "calls", "role": "state", "dtype": "f32", "shape": [], "updated": true},
         {"name": "factor", "role": "usage", "dtype": "f32", "shape": [2], "updated": true},
         {"name": "gain", "role": "scalar", "dtype": "f32", "shape": []}],
       "results": [{"name": "y", "dtype": "f32", "shape": ["T", 4]}, {"name": "host_calls", "dtype": "i32", "shape": []}],
       "kernels": [{"name": "scale", "bytes": [16, 32], "flops": [0, 8]}, {"name": "copy", "bytes": [0, 32], "flops": [0, 0]}]},
      {"name": "overrun", "symbol": "entry_overrun", "kind": "forward", "of": "", "arguments": [
         {"name": "x", "role": "input", "dtype": "f32", "shape": [8]},
         {"name": "factor", "role": "parameter", "dtype": "f32", "shape": [4]}], "results": [], "kernels": []},
      {"name": "beyond", "symbol": "entry_beyond", "kind": "forward", "of": "", "arguments": [
         {"name": "x", "role": "input", "dtype": "f32", "shape": [6]},
         {"name": "factor", "role": "parameter", "dtype": "f32", "shape": [4]},
         {"name": "gain", "role": "scalar", "dtype": "f32", "shape": []}], "results": [], "kernels": []},
      {"name": "stale", "symbol": "entry_stale", "kind": "forward", "of": "", "arguments": [
         {"name": "x", "role": "input", "dtype": "f32", "shape": [8]},
         {"name": "factor", "role": "parameter", "dtype": "f32", "shape": [4]}], "results": [], "kernels": []},
      {"name": "greedy", "symbol": "entry_greedy", "kind": "forward", "of": "", "arguments": [], "results": [], "kernels": []},
      {"name": "unknown", "symbol": "entry_unknown", "kind": "forward", "of": "", "arguments": [], "results": [], "kernels": []},
      {"name": "matmul", "symbol": "entry_matmul", "kind": "forward", "of": "", "arguments": [],
       "results": [{"name": "done", "dtype": "i32", "shape": []}], "kernels": []}]})");
}

std::string writeDeviceArtifact(const TemporaryFolder &folder, const nlohmann::json &manifest) {
  writeBytes(folder / "GPU.peer", artifactBytes(manifest, PEER_DEVICE_ENTRIES));
  return folder / "GPU.peer";
}

} // namespace peer::runtime
