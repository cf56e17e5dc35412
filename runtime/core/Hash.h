// Hashes of bytes and numbers: none is meant to withstand somebody who wants two alike.
#pragma once

#include "artifact/format.h"

#include <cstddef>
#include <cstdint>

namespace peer::runtime {

/// The finaliser of splitmix64: a bijection that spreads every input bit over all output bits.
inline uint64_t mix64(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

/// FNV-1a, 64 bits.
inline uint64_t fnv1a(const void *data, size_t bytes, uint64_t hash = format::kFnvStart) {
  const auto *p = static_cast<const unsigned char *>(data);
  for (size_t i = 0; i < bytes; ++i)
    hash = (hash ^ p[i]) * format::kFnvPrime;
  return hash;
}

} // namespace peer::runtime
