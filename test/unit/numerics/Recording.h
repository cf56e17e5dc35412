// Calls of compiled descriptions, written down so that they can be made again elsewhere: on a GPU that this machine does not have. test/gpu-check replays them.
#pragma once

#include "Session.h"

#include <map>
#include <vector>

namespace peer::numerics {

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
  /// What a result of the last call must be, to within `tolerance` * (1 + |expected|). Integers must be equal; not-a-number where one is unspecified.
  void expected(const std::string &result, const runtime::Shape &shape, const std::vector<double> &values,
                runtime::DType dtype, double tolerance);

private:
  struct Expected {
    std::string result;
    double tolerance;
  };
  struct Call {
    std::string entry;
    runtime::ScalarMap scalars;
    std::vector<Expected> expected;
  };
  Recording(std::string folder, std::string artifact) : folder(std::move(folder)), artifact(std::move(artifact)) {}
  void add(const std::string &kind, const std::string &name, runtime::Result<runtime::Tensor> tensor);

  std::string folder, artifact;
  std::vector<uint64_t> seeds;
  std::vector<Call> calls;
  runtime::TensorMap tensors;
};

} // namespace peer::numerics
