// PTX text to tokens.
#pragma once

#include "core/Status.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace peer::runtime::sim {

struct Token {
  enum class Kind : uint8_t {
    /// A name with its dotted parts: `%r1`, `ld.global.nc.v4.f32`, `%tid.x`.
    Word,
    /// A word that begins with a dot: `.reg`, `.b32`.
    Directive,
    Integer,
    Float32,
    Float64,
    String,
    Punctuation,
    End
  };
  Kind kind = Kind::End;
  uint32_t line = 0;
  std::string_view text;
  /// The value of an integer, the bits of a float.
  uint64_t bits = 0;

  bool is(char c) const { return kind == Kind::Punctuation && text[0] == c; }
};

/// The tokens of `text`, an End token last. They point into `text`.
Result<std::vector<Token>> tokenize(std::string_view text);

} // namespace peer::runtime::sim
