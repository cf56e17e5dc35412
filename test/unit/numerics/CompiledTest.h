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
  /// Fails the running test, with peer-opt's messages, where the text does not compile; then the result is null.
  static std::unique_ptr<Compiled> compile(const std::string &text, Code code);
  ~Compiled();

  /// Results by name; empty, and the test failed, on an error.
  runtime::TensorMap call(const std::string &entry, const runtime::TensorMap &inputs,
                          const runtime::ScalarMap &scalars = {});

  /// Says what a result of the last call must be, for those who make the call again (Recording.h).
  void expect(const std::string &result, const runtime::Shape &shape, const std::vector<double> &values,
              double tolerance, runtime::DType dtype = runtime::DType::F32);

  /// Fills all parameters; false, and the test failed, on an error.
  bool initParameters(uint64_t seed);

  runtime::Session &session() { return *opened; }

private:
  std::unique_ptr<Recording> recording;
  std::string folder;
  std::unique_ptr<runtime::Session> opened;
};

/// The largest of |actual - expected| / (1 + |expected|), and where it is.
struct Difference {
  double most = 0;
  size_t at = 0;
};
Difference difference(const runtime::Tensor &actual, const std::vector<double> &expected);

} // namespace peer::numerics
