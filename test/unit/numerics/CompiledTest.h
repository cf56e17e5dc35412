// Compiles descriptions with peer-opt, as a user would, and calls the artifact through the runtime.
#pragma once

#include "Recording.h"

#include <gtest/gtest.h>

namespace peer::numerics {

/// What the compiler makes of an op: vector code or its slow, obvious decomposition, for this machine's CPU or for a GPU that the
/// simulator stands in for.
enum class Code { Vectors, Loops, Gpu, GpuLoops };

/// One compiled description. The artifact's file goes with it.
class Compiled {
public:
  /// Fails the running test, with peer-opt's messages, where the text does not compile; then the result is null. `flags` are more of
  /// peer-opt's.
  static std::unique_ptr<Compiled> compile(const std::string &text, Code code, const std::string &flags = "");
  ~Compiled();

  /// Results by name; empty, and the test failed, on an error.
  runtime::TensorMap call(const std::string &entry, const runtime::TensorMap &inputs,
                          const runtime::ScalarMap &scalars = {});

  /// Whether a result of the last call is what it must be; those who make the call again are told, too (Recording.h). Equal infinities
  /// agree, as do two that are no numbers; integers must be equal, and one whose expected value is no number is unspecified.
  ::testing::AssertionResult agrees(const runtime::TensorMap &results, const std::string &name,
                                    const runtime::Shape &shape, const std::vector<double> &values,
                                    const Tolerance &tolerance);

  /// Fills all parameters; false, and the test failed, on an error.
  bool initParameters(uint64_t seed);

  runtime::Session &session() { return *opened; }

private:
  std::unique_ptr<Recording> recording;
  std::string folder;
  std::unique_ptr<runtime::Session> opened;
};

} // namespace peer::numerics
