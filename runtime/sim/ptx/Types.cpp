#include "Types.h"

#include <utility>

namespace peer::runtime::sim {

namespace {
constexpr std::pair<std::string_view, Type> kTypes[] = {
    {"pred", Type::Pred}, {"b8", Type::B8},   {"b16", Type::B16},     {"b32", Type::B32},       {"b64", Type::B64},
    {"u8", Type::U8},     {"u16", Type::U16}, {"u32", Type::U32},     {"u64", Type::U64},       {"s8", Type::S8},
    {"s16", Type::S16},   {"s32", Type::S32}, {"s64", Type::S64},     {"f16", Type::F16},       {"bf16", Type::BF16},
    {"f32", Type::F32},   {"f64", Type::F64}, {"f16x2", Type::F16x2}, {"bf16x2", Type::BF16x2}, {"tf32", Type::TF32},
};
} // namespace

std::optional<Type> parseType(std::string_view name) {
  for (auto [known, type] : kTypes)
    if (known == name)
      return type;
  return std::nullopt;
}

unsigned byteWidth(Type type) {
  switch (type) {
  case Type::None:
  case Type::Pred:
    return 0;
  case Type::B8:
  case Type::U8:
  case Type::S8:
    return 1;
  case Type::B16:
  case Type::U16:
  case Type::S16:
  case Type::F16:
  case Type::BF16:
    return 2;
  case Type::B64:
  case Type::U64:
  case Type::S64:
  case Type::F64:
    return 8;
  default:
    return 4;
  }
}

bool isSignedInteger(Type type) {
  return type == Type::S8 || type == Type::S16 || type == Type::S32 || type == Type::S64;
}

bool isFloat(Type type) { return type >= Type::F16; }

std::string_view spaceName(Space space) {
  constexpr std::string_view names[] = {"generic", "global", "const", "shared", "local", "param"};
  return names[static_cast<unsigned>(space)];
}

Type unsignedOfWidth(unsigned bytes) {
  switch (bytes) {
  case 1:
    return Type::U8;
  case 2:
    return Type::U16;
  case 4:
    return Type::U32;
  case 8:
    return Type::U64;
  default:
    return Type::None;
  }
}

} // namespace peer::runtime::sim
