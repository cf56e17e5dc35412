// Counter-based random numbers: element i of a stream depends on the stream's key and i alone, so tables fill in parallel and
// come out the same at any number of threads.
#pragma once

#include "Manifest.h"
#include "core/Hash.h"

namespace peer::runtime {

/// A stream named by a seed and a text.
class RandomStream {
public:
  RandomStream(uint64_t seed, std::string_view name)
      : key(mix64(seed + 0x9e3779b97f4a7c15ull) ^ mix64(fnv1a(name.data(), name.size()))) {}

  /// 64 random bits of position i.
  uint64_t bits(uint64_t i) const { return mix64(key + (i + 1) * 0x9e3779b97f4a7c15ull); }

  /// Uniform in [0, 1).
  double uniform(uint64_t i) const { return static_cast<double>(bits(i) >> 11) * 0x1p-53; }

private:
  uint64_t key;
};

/// Fills a tensor of a floating type by an initialiser; integers only take constants.
Status fillRandom(Tensor &tensor, const Init &init, const RandomStream &stream);

/// Fills an integer tensor uniformly in [low, high).
Status fillUniformIntegers(Tensor &tensor, int64_t low, int64_t high, const RandomStream &stream);

} // namespace peer::runtime
