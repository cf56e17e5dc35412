// mix with its token pass, and quantized_mix: compiled once for any number of tokens, called for several.
#pragma once

#include "RoutingOpTest.h"

namespace peer::numerics {

struct MixLayer {
  int64_t heads, selected, width, vectors = 2, rows = 1;
  std::string activation = "gelu";
  /// Of the rows; i8: quantized_mix, which has a scale for each vector and no gradient.
  std::string element = "f32";
  int64_t experts = 9;
  Code code = Code::Gpu;
  /// More of peer-opt's.
  std::string flags = "";
};

class MixOp : public ::testing::Test {
protected:
  void open(const MixLayer &of);
  runtime::TensorMap call(const Array &x, const Array &idx, const Array &w, const Array &dy);

  /// Compares all results, on random inputs or these.
  void check(int64_t tokens, double tolerance = 1e-5);
  void check(const Array &x, const Array &idx, const Array &w, const Array &dy, double tolerance);
  /// No expert is selected by anybody: all results are zeros.
  void checkNothingSelected(int64_t tokens);
  /// Two calls give the same bits.
  void checkSameTwice(int64_t tokens);

  bool quantized() const { return layer.element == "i8"; }

  MixLayer layer;
  /// Rows as they are stored; scales only where they are i8.
  Array pool, scales;
  std::unique_ptr<Compiled> compiled;
};

} // namespace peer::numerics
