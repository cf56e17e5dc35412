// Element types, under the names that the manifest ("f32") and safetensors ("F32") give them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace peer::runtime {

/// From F8E5M2 on: types that files may hold, and that nothing computes with.
enum class DType : uint8_t {
  F64,
  F32,
  F16,
  BF16,
  I64,
  I32,
  I16,
  I8,
  U64,
  U32,
  U16,
  U8,
  Bool,
  F8E4M3,
  F8E5M2,
  F8E8M0,
  F8E4M3FNUZ,
  F8E5M2FNUZ,
  C64,
  F6E2M3,
  F6E3M2,
  F4
};

/// Bits of one element.
size_t dtypeBits(DType dtype);

/// Bytes of one element, rounded up.
size_t dtypeSize(DType dtype);

/// Whether values are integers (Bool counts as one: 0 or 1).
bool isInteger(DType dtype);

/// The manifest's name: "f32", "bf16", "i32", ...
std::string_view dtypeName(DType dtype);

/// The safetensors name: "F32", "BF16", "I32", ...
std::string_view safetensorsName(DType dtype);

/// The type with this manifest name, if there is one that can be computed with.
std::optional<DType> parseDType(std::string_view name);

/// The type with this safetensors name, if there is one.
std::optional<DType> parseSafetensorsDType(std::string_view name);

/// bfloat16 bits to float, exact.
float bf16ToFloat(uint16_t bits);

/// float to bfloat16 bits, round to nearest even.
uint16_t floatToBf16(float value);

} // namespace peer::runtime
