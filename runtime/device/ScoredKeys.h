// What routes count while kernels are timed: how many keys they scored in f32, which depends on values and not on shapes alone.
#pragma once

#include <cstdint>

namespace peer::runtime {

struct ScoredKeys {
  int64_t rows = 0, unbounded = 0; // rows of scores, and those of which no key could be left out for want of bounds
  int64_t keys = 0, scored = 0;    // of all rows: those there are, and those scored in f32
  int64_t bytes = 0;               // of keys that were read for that, once for each tile of tokens at most

  ScoredKeys &operator+=(const ScoredKeys &other) {
    rows += other.rows;
    unbounded += other.unbounded;
    keys += other.keys;
    scored += other.scored;
    bytes += other.bytes;
    return *this;
  }
};

/// What an entry's kernel has counted since the latest ProfileRecording began, up to the latest mark.
ScoredKeys scoredKeysOf(int64_t kernel);

} // namespace peer::runtime
