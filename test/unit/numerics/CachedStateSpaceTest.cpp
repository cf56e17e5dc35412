// Causal convolutions and selective scans as they go on token by token.
#include "StateSpaceReference.h"

namespace peer::numerics {
namespace {

using namespace reference;

struct NNCachedStateSpace : NNOpTest {
  /// `tokens` tokens behind `position` others, all of which the cache has seen.
  void checkConv(int64_t tokens, int64_t position, int64_t width, int64_t taps) {
    Array all = random({position + tokens, width}, 1), weight = random({taps, width}, 2);
    Array cache = random({taps, width}, 3), x({tokens, width}), y({tokens, width}), at{std::vector<int64_t>{}};
    at.values[0] = static_cast<double>(position);
    auto put = [&](int64_t row) {
      std::copy_n(all.values.begin() + row * width, width, cache.values.begin() + row % taps * width);
    };
    for (int64_t row = std::max<int64_t>(0, position - taps); row < position; ++row)
      put(row);
    Array before = cache, whole = conv(all, weight, position + tokens);
    for (int64_t row = position; row < position + tokens; ++row)
      put(row);
    std::copy(all.values.begin() + position * width, all.values.end(), x.values.begin());
    std::copy(whole.values.begin() + position * width, whole.values.end(), y.values.begin());
    check("cached_causal_conv", "", {{"x", x, true}, {"w", weight}, {"cache", before}, {"position", at, false, "i32"}},
          {{y, true}, {cache, false, before}});
  }

  void checkScan(int64_t tokens, int64_t position, int64_t width, int64_t states) {
    std::vector<Array> in = scanInputs({1, tokens, width, states});
    Array before = random({states, width}, 7), at{std::vector<int64_t>{}}, state = before;
    at.values[0] = static_cast<double>(position);
    if (position == 0)
      state = Array(before.shape);
    Array y = scan(in, tokens, state);
    // What a call without tokens leaves at position 0 is the state of no token.
    Array none = position == 0 ? Array(before.shape) : before;
    check("cached_selective_scan", "",
          {{"x", in[0], true},
           {"delta", in[1], true},
           {"a", in[2]},
           {"b", in[3], true},
           {"c", in[4], true},
           {"state", before},
           {"position", at, false, "i32"}},
          {{y, true}, {state, false, none}}, 5e-6);
  }
};

TEST_P(NNCachedStateSpace, ConvToken) {
  for (int64_t position : {0, 2, 3, 4, 50})
    checkConv(1, position, 19, 4);
}
TEST_P(NNCachedStateSpace, ConvPrompt) {
  checkConv(6, 0, 19, 4);
  checkConv(3, 5, 4, 2);
}
TEST_P(NNCachedStateSpace, ScanToken) {
  checkScan(1, 0, 19, 16);
  checkScan(1, 9, 19, 16);
}
TEST_P(NNCachedStateSpace, ScanPrompt) {
  checkScan(7, 0, 5, 20);
  checkScan(7, 3, 19, 3);
}
// Chunks of a GPU's threads.
TEST_P(NNCachedStateSpace, ScanLongPrompt) {
  checkScan(131, 0, 3, 3);
  checkScan(160, 9, 2, 18);
}

INSTANTIATE_NN_OPS(NNCachedStateSpace);

} // namespace
} // namespace peer::numerics
