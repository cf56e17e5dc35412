#include "DType.h"

#include <bit>
#include <iterator>

namespace peer::runtime {

namespace {
struct Row {
  DType dtype;
  size_t bits;
  bool integer;
  std::string_view name, safetensors;
};
constexpr Row kRows[] = {
    {DType::F64, 64, false, "f64", "F64"},
    {DType::F32, 32, false, "f32", "F32"},
    {DType::F16, 16, false, "f16", "F16"},
    {DType::BF16, 16, false, "bf16", "BF16"},
    {DType::I64, 64, true, "i64", "I64"},
    {DType::I32, 32, true, "i32", "I32"},
    {DType::I16, 16, true, "i16", "I16"},
    {DType::I8, 8, true, "i8", "I8"},
    {DType::U64, 64, true, "u64", "U64"},
    {DType::U32, 32, true, "u32", "U32"},
    {DType::U16, 16, true, "u16", "U16"},
    {DType::U8, 8, true, "u8", "U8"},
    {DType::Bool, 8, true, "bool", "BOOL"},
    {DType::F8E4M3, 8, false, "f8_e4m3", "F8_E4M3"},
    {DType::F8E5M2, 8, false, "f8_e5m2", "F8_E5M2"},
    {DType::F8E8M0, 8, false, "f8_e8m0", "F8_E8M0"},
    {DType::F8E4M3FNUZ, 8, false, "f8_e4m3fnuz", "F8_E4M3FNUZ"},
    {DType::F8E5M2FNUZ, 8, false, "f8_e5m2fnuz", "F8_E5M2FNUZ"},
    {DType::C64, 64, false, "c64", "C64"},
    {DType::F6E2M3, 6, false, "f6_e2m3", "F6_E2M3"},
    {DType::F6E3M2, 6, false, "f6_e3m2", "F6_E3M2"},
    {DType::F4, 4, false, "f4", "F4"},
};
constexpr bool inEnumOrder() {
  for (size_t i = 0; i < std::size(kRows); ++i)
    if (static_cast<size_t>(kRows[i].dtype) != i)
      return false;
  return true;
}
static_assert(inEnumOrder());

const Row &row(DType dtype) { return kRows[static_cast<size_t>(dtype)]; }
} // namespace

size_t dtypeBits(DType dtype) { return row(dtype).bits; }
size_t dtypeSize(DType dtype) { return (row(dtype).bits + 7) / 8; }
bool isInteger(DType dtype) { return row(dtype).integer; }
std::string_view dtypeName(DType dtype) { return row(dtype).name; }
std::string_view safetensorsName(DType dtype) { return row(dtype).safetensors; }

std::optional<DType> parseDType(std::string_view name) {
  for (const Row &candidate : kRows)
    if (candidate.name == name && candidate.dtype < DType::F8E5M2)
      return candidate.dtype;
  return std::nullopt;
}

std::optional<DType> parseSafetensorsDType(std::string_view name) {
  for (const Row &candidate : kRows)
    if (candidate.safetensors == name)
      return candidate.dtype;
  return std::nullopt;
}

float bf16ToFloat(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

uint16_t floatToBf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  // A NaN stays a NaN: rounding could carry its payload away.
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

} // namespace peer::runtime
