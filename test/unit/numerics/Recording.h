// Calls of compiled descriptions, written down so that they can be made again elsewhere: on a GPU that this machine does not have. test/gpu-check replays them.
#pragma once

#include "session/Session.h"

#include <cmath>
#include <map>
#include <vector>

namespace peer::numerics {

/// How far a value may be from what is expected: `relative` * (1 + |expected|), or for each value of a result its own distance.
struct Tolerance {
  double relative = 0;
  std::vector<double> each;

  Tolerance(double relative) : relative(relative) {}
  Tolerance(std::vector<double> each) : each(std::move(each)) {}
  double of(double expected, size_t i) const { return each.empty() ? relative * (1 + std::abs(expected)) : each[i]; }
};

/// What one compiled description was asked and what its answers should be. The file is written when it ends: all tensors of the calls, and
/// in the metadata, under "case", what is to be done with them (test/gpu-check/README.md).
class Recording {
public:
  /// Null unless PEER_TEST_RECORD names a folder. Copies the artifact there.
  static std::unique_ptr<Recording> start(const std::string &artifact);
  ~Recording();

  /// Parameters are those that the artifact's initialisers give for this seed.
  void initialised(uint64_t seed) { seeds = {seed}; }
  void called(const std::string &entry, const runtime::TensorMap &inputs, const runtime::ScalarMap &scalars);
  /// What the simulator made of the last call. It stands for what is expected as long as nothing else does: floats to within 1e-4 * (1 + |value|),
  /// integers, which may be unspecified in part, not at all.
  void computed(const runtime::TensorMap &results);
  /// What a result of the last call must be. Integers must be equal; not-a-number where one is unspecified.
  void expected(const std::string &result, const runtime::Shape &shape, const std::vector<double> &values,
                runtime::DType dtype, const Tolerance &tolerance);

private:
  /// Tensors by the names that they have in the file: equal ones are there once.
  struct Expected {
    std::string result, tensor;
    double tolerance;
    std::string tolerances; // empty where one number says it
  };
  struct Call {
    std::string entry;
    runtime::ScalarMap scalars;
    std::map<std::string, std::string> inputs;
    std::vector<Expected> expected;
    runtime::TensorMap computed;
  };
  Recording(std::string folder, std::string artifact) : folder(std::move(folder)), artifact(std::move(artifact)) {}
  void endCall();
  std::string add(const std::string &name, runtime::Result<runtime::Tensor> tensor);

  std::string folder, artifact;
  std::vector<uint64_t> seeds;
  std::vector<Call> calls;
  runtime::TensorMap tensors;
  std::map<std::pair<runtime::Shape, uint64_t>, std::string> known; // by shape and hash of the contents
};

} // namespace peer::numerics
