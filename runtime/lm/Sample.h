// Choosing a token from logits.
#pragma once

#include <cstdint>
#include <span>

namespace peer::runtime {

/// How a token is drawn from a model's logits.
struct SampleOptions {
  /// Divides the logits; 0 takes the likeliest token.
  double temperature = 1.0;
  /// Only the smallest set of likeliest tokens that holds this much probability takes part (nucleus sampling).
  double topP = 1.0;
};

/// Picks the index of a token. `unit` is a random number in [0, 1); it alone decides among the tokens that take part.
/// Ties go to the lowest index, so the result is the same on every machine. `logits` must not be empty.
/// Returns -1 when no logit is a number.
int64_t sampleToken(std::span<const float> logits, const SampleOptions &options, double unit);

} // namespace peer::runtime
