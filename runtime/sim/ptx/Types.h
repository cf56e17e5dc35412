// The scalar types and state spaces of PTX.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace peer::runtime::sim {

enum class Type : uint8_t {
  None,
  Pred,
  B8,
  B16,
  B32,
  B64,
  U8,
  U16,
  U32,
  U64,
  S8,
  S16,
  S32,
  S64,
  F16,
  BF16,
  F16x2,
  BF16x2,
  TF32,
  F32,
  F64
};

enum class Space : uint8_t { Generic, Global, Const, Shared, Local, Param };

/// The type a modifier names ("f32" for `.f32`), if it names one.
std::optional<Type> parseType(std::string_view name);

/// Bytes of one lane's value; a predicate has none, its register is one mask for the warp.
unsigned byteWidth(Type type);
bool isSignedInteger(Type type);
bool isFloat(Type type);
std::string_view spaceName(Space space);

/// The unsigned integer type of so many bytes, None if there is none.
Type unsignedOfWidth(unsigned bytes);

} // namespace peer::runtime::sim
