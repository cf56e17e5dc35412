// What tests of attention have in common, whatever they run on.
#pragma once

#include "NNOpTest.h"

namespace peer::numerics {

struct AttentionSizes {
  int64_t sequences, context, heads, width;

  /// As attention and, generic, as its gradient is written.
  std::string attributes(bool generic = false) const {
    std::string h = std::to_string(heads), c = std::to_string(context);
    return generic ? "{heads = " + h + " : i64, context_length = " + c + " : i64}" : "heads " + h + " context " + c;
  }
};

struct CachedAttentionTest : NNOpTest {
  /// `tokens` tokens from `position` on, in a cache of `capacity` rows.
  void checkAt(int64_t tokens, int64_t position, int64_t capacity, int64_t heads, int64_t width) {
    using reference::random;
    int64_t columns = heads * width;
    Array q = random({tokens, columns}, 1, -2, 2), k = random({tokens, columns}, 2, -2, 2),
          v = random({tokens, columns}, 3);
    Array keys = random({capacity, columns}, 4, -2, 2), values = random({capacity, columns}, 5);
    Array newKeys = keys, newValues = values, at{std::vector<int64_t>{}};
    at.values[0] = static_cast<double>(position);
    Array y = cachedAttention(q, k, v, newKeys, newValues, position, heads);
    check("cached_attention", "{heads = " + std::to_string(heads) + " : i64}",
          {{"q", q, true},
           {"k", k, true},
           {"v", v, true},
           {"keys", keys},
           {"values", values},
           {"position", at, false, "i32"}},
          {{y, true}, {newKeys, false, keys}, {newValues, false, values}}, 5e-6);
  }
};

} // namespace peer::numerics
