// Element types, under the names that the manifest ("f32") and safetensors ("F32") give them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace peer::runtime {

enum class DType : uint8_t { F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8, Bool };

/// Bytes of one element.
size_t dtypeSize(DType dtype);

/// Whether values are integers (Bool counts as one: 0 or 1).
bool isInteger(DType dtype);

/// The manifest's name: "f32", "bf16", "i32", ...
std::string_view dtypeName(DType dtype);

/// The safetensors name: "F32", "BF16", "I32", ...
std::string_view safetensorsName(DType dtype);

/// The type with this manifest name, if there is one.
std::optional<DType> parseDType(std::string_view name);

/// The type with this safetensors name, if there is one.
std::optional<DType> parseSafetensorsDType(std::string_view name);

/// bfloat16 bits to float, exact.
float bf16ToFloat(uint16_t bits);

/// float to bfloat16 bits, round to nearest even.
uint16_t floatToBf16(float value);

} // namespace peer::runtime
