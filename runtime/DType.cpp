#include "DType.h"

#include <bit>
#include <iterator>

namespace peer::runtime {

namespace {
struct Row {
  DType dtype;
  size_t size;
  bool integer;
  std::string_view name, safetensors;
};
constexpr Row kRows[] = {
    {DType::F64, 8, false, "f64", "F64"},    {DType::F32, 4, false, "f32", "F32"}, {DType::F16, 2, false, "f16", "F16"},
    {DType::BF16, 2, false, "bf16", "BF16"}, {DType::I64, 8, true, "i64", "I64"},  {DType::I32, 4, true, "i32", "I32"},
    {DType::I16, 2, true, "i16", "I16"},     {DType::I8, 1, true, "i8", "I8"},     {DType::U64, 8, true, "u64", "U64"},
    {DType::U32, 4, true, "u32", "U32"},     {DType::U16, 2, true, "u16", "U16"},  {DType::U8, 1, true, "u8", "U8"},
    {DType::Bool, 1, true, "bool", "BOOL"},
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

size_t dtypeSize(DType dtype) { return row(dtype).size; }
bool isInteger(DType dtype) { return row(dtype).integer; }
std::string_view dtypeName(DType dtype) { return row(dtype).name; }
std::string_view safetensorsName(DType dtype) { return row(dtype).safetensors; }

std::optional<DType> parseDType(std::string_view name) {
  for (const Row &candidate : kRows)
    if (candidate.name == name)
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
