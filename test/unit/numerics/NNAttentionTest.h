// What tests of attention have in common, whatever they run on.
#pragma once

#include "NNOpTest.h"

namespace peer::numerics {

struct AttentionSizes {
  int64_t sequences, context, heads, width;
  /// Heads of keys and values (0: as many), and the window (0: none).
  int64_t keyHeads = 0, window = 0;

  std::vector<int64_t> queryShape() const { return {sequences * context, heads * width}; }
  std::vector<int64_t> keyShape() const { return {sequences * context, (keyHeads ? keyHeads : heads) * width}; }
  /// As attention and, generic, as its gradient is written.
  std::string attributes(bool generic = false) const {
    std::string h = std::to_string(heads), c = std::to_string(context), w = std::to_string(window);
    if (generic)
      return "{heads = " + h + " : i64, context_length = " + c + " : i64" +
             (window ? ", window = " + w + " : i64}" : "}");
    return "heads " + h + " context " + c + (window ? " window " + w : "");
  }
};

/// What a test of cached attention has beside tokens, position and sizes.
struct CacheOptions {
  int64_t keyHeads = 0, window = 0;
};

struct CachedAttentionTest : NNOpTest {
  /// `tokens` tokens from `position` on, in a cache of `capacity` rows.
  void checkAt(int64_t tokens, int64_t position, int64_t capacity, int64_t heads, int64_t width,
               CacheOptions options = {}) {
    using reference::random;
    int64_t columns = heads * width, keyColumns = (options.keyHeads ? options.keyHeads : heads) * width;
    Array q = random({tokens, columns}, 1, -2, 2), k = random({tokens, keyColumns}, 2, -2, 2),
          v = random({tokens, keyColumns}, 3);
    Array keys = random({capacity, keyColumns}, 4, -2, 2), values = random({capacity, keyColumns}, 5);
    Array newKeys = keys, newValues = values, at{std::vector<int64_t>{}};
    at.values[0] = static_cast<double>(position);
    Array y = cachedAttention(q, k, v, newKeys, newValues, position, heads, options.window);
    std::string window = options.window ? ", window = " + std::to_string(options.window) + " : i64" : "";
    check("cached_attention", "{heads = " + std::to_string(heads) + " : i64" + window + "}",
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
