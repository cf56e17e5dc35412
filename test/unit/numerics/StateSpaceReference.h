// Convolutions and scans by their definitions, in double precision.
#pragma once

#include "NNOpTest.h"

#include <cmath>

namespace peer::numerics {

struct ScanSizes {
  int64_t sequences, context, width, states; // states: of a scan; taps of a convolution

  int64_t tokens() const { return sequences * context; }
  std::string attributes(const std::string &more = "") const {
    return "{context_length = " + std::to_string(context) + " : i64" + more + "}";
  }
};

inline Array conv(const Array &x, const Array &weight, int64_t context) {
  Array y(x.shape);
  int64_t taps = weight.rows();
  for (int64_t t = 0; t < x.rows(); ++t)
    for (int64_t k = 0; k < taps; ++k)
      for (int64_t d = 0; d < x.columns() && t % context + k >= taps - 1; ++d)
        y.at(t, d) += weight.at(k, d) * x.at(t + k - (taps - 1), d);
  return y;
}

/// Of x, delta, a, b, c; `state` is that before the first row of each sequence, and after the last one.
inline Array scan(const std::vector<Array> &in, int64_t context, Array &state) {
  const Array &x = in[0], &delta = in[1], &a = in[2], &b = in[3], &c = in[4];
  Array y(x.shape), begin = state;
  for (int64_t t = 0; t < x.rows(); ++t) {
    if (t % context == 0)
      state = begin;
    for (int64_t n = 0; n < a.rows(); ++n)
      for (int64_t d = 0; d < x.columns(); ++d) {
        double &h = state.at(n, d);
        h = std::exp(delta.at(t, d) * a.at(n, d)) * h + delta.at(t, d) * b.at(t, n) * x.at(t, d);
        y.at(t, d) += c.at(t, n) * h;
      }
  }
  return y;
}

inline std::vector<Array> scanInputs(ScanSizes s) {
  std::vector<int64_t> rows{s.tokens(), s.width}, shared{s.tokens(), s.states};
  return {reference::random(rows, 1), reference::random(rows, 2, 0, 0.5),
          reference::random({s.states, s.width}, 3, -2, 0), reference::random(shared, 4), reference::random(shared, 5)};
}

} // namespace peer::numerics
