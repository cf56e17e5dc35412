#include "Decode.h"

#include <algorithm>
#include <bit>

namespace peer::runtime::sim {

namespace {
constexpr std::pair<std::string_view, Special> kSpecials[] = {
    {"%tid.x", Special::TidX},
    {"%tid.y", Special::TidY},
    {"%tid.z", Special::TidZ},
    {"%ntid.x", Special::NtidX},
    {"%ntid.y", Special::NtidY},
    {"%ntid.z", Special::NtidZ},
    {"%ctaid.x", Special::CtaidX},
    {"%ctaid.y", Special::CtaidY},
    {"%ctaid.z", Special::CtaidZ},
    {"%nctaid.x", Special::NctaidX},
    {"%nctaid.y", Special::NctaidY},
    {"%nctaid.z", Special::NctaidZ},
    {"%laneid", Special::LaneId},
    {"%warpid", Special::WarpId},
    {"%nwarpid", Special::NwarpId},
    {"%lanemask_eq", Special::MaskEq},
    {"%lanemask_lt", Special::MaskLt},
    {"%lanemask_le", Special::MaskLe},
    {"%lanemask_gt", Special::MaskGt},
    {"%lanemask_ge", Special::MaskGe},
    {"%dynamic_smem_size", Special::SharedDynamic},
    {"%total_smem_size", Special::SharedTotal},
    {"%smid", Special::Zero},
    {"%gridid", Special::Zero},
};

const Operand kNoOperand;
} // namespace

Form::Form(Decoder &decoder, const Statement &statement) : statement(statement), decoder(decoder) {
  std::string_view rest = statement.opcode;
  while (true) {
    size_t dot = rest.find('.');
    parts.push_back(rest.substr(0, dot));
    if (dot == std::string_view::npos)
      break;
    rest.remove_prefix(dot + 1);
  }
  inst.line = statement.line;
}

bool Form::has(std::string_view modifier) const {
  return std::find(parts.begin() + 1, parts.end(), modifier) != parts.end();
}

uint8_t Form::takeOneOf(std::span<const std::string_view> modifiers) {
  uint8_t i = 0;
  while (i < modifiers.size() && !take(modifiers[i]))
    ++i;
  return i;
}

bool Form::take(std::string_view modifier) {
  auto found = std::find(parts.begin() + 1, parts.end(), modifier);
  if (found == parts.end())
    return false;
  parts.erase(found);
  return true;
}

Type Form::type() {
  for (size_t i = 1; i < parts.size(); ++i)
    if (std::optional<Type> type = parseType(parts[i])) {
      parts.erase(parts.begin() + static_cast<ptrdiff_t>(i));
      return *type;
    }
  unknown();
  return Type::U32;
}

void Form::takeHints() {
  for (std::string_view hint : {"ca",
                                "cg",
                                "cs",
                                "lu",
                                "cv",
                                "wb",
                                "wt",
                                "nc",
                                "L1::evict_normal",
                                "L1::evict_unchanged",
                                "L1::evict_first",
                                "L1::evict_last",
                                "L1::no_allocate",
                                "L2::64B",
                                "L2::128B",
                                "L2::256B",
                                "L2::evict_first",
                                "L2::evict_last",
                                "L2::evict_normal",
                                "unified"})
    take(hint);
}

const Operand &Form::operand(size_t i) const {
  return i < statement.operands.size() ? statement.operands[i] : kNoOperand;
}

bool Form::wantOperands(size_t least, size_t most) {
  if (operands() >= least && operands() <= most)
    return true;
  fail("expected ", least, least == most ? "" : " or more", " operands, got ", operands());
  return false;
}

void Form::unknown() {
  if (status.ok())
    status = Status::error("PTX line ", statement.line, ": unknown instruction '", statement.opcode, "'");
}

Program &Form::program() { return decoder.program; }

uint32_t Form::scratch() const { return 0; }

uint32_t Form::carry() {
  if (decoder.carrySlot == 0)
    decoder.carrySlot = decoder.addSlot(0);
  return decoder.carrySlot;
}

unsigned Form::registerWidth(const Operand &operand) const {
  return operand.kind == Operand::Kind::Register
             ? std::max(2u, byteWidth(decoder.frame->function->registers[operand.index]))
             : 0;
}

uint32_t Form::destOf(const Operand &operand, Type type) {
  if (operand.kind == Operand::Kind::Sink)
    return scratch();
  if (operand.kind != Operand::Kind::Register) {
    fail("a result must be a register");
    return scratch();
  }
  Type declared = decoder.frame->function->registers[operand.index];
  if ((declared == Type::Pred) != (type == Type::Pred) ||
      std::max(byteWidth(declared), 2u) != std::max(byteWidth(type), 2u)) {
    if (type != Type::Pred || declared != Type::Pred)
      fail("register '", operand.name, "' has the wrong size");
  }
  return decoder.frame->slots[operand.index];
}

uint32_t Form::sourceOf(const Operand &operand, Type type, uint32_t negateFlag) {
  if (operand.negated) {
    if (!negateFlag)
      fail("'!' before an operand that cannot have it");
    inst.flags |= negateFlag;
  }
  unsigned width = byteWidth(type);
  switch (operand.kind) {
  case Operand::Kind::Register:
    return destOf(operand, type);
  case Operand::Kind::Integer:
    if (type == Type::Pred)
      return decoder.constantSlot(0, operand.bits ? kAllLanes : 0);
    if (type == Type::F32 || type == Type::F64)
      fail("a float operand wants a float constant");
    return decoder.constantSlot(width, operand.bits);
  case Operand::Kind::Float32:
    if (type == Type::F64)
      return decoder.constantSlot(
          8, std::bit_cast<uint64_t>(static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(operand.bits)))));
    if (width != 4)
      fail("constant of the wrong size");
    return decoder.constantSlot(4, operand.bits);
  case Operand::Kind::Float64:
    if (type == Type::F32)
      return decoder.constantSlot(4, std::bit_cast<uint32_t>(static_cast<float>(std::bit_cast<double>(operand.bits))));
    if (width != 8)
      fail("constant of the wrong size");
    return decoder.constantSlot(8, operand.bits);
  case Operand::Kind::Special:
    for (auto [known, what] : kSpecials)
      if (known == operand.name)
        return decoder.specialSlot(what, width);
    fail("unknown register '", operand.name, "'");
    return scratch();
  case Operand::Kind::Variable: {
    const Variable &variable = decoder.module.variables[operand.index];
    uint64_t base = 0;
    if (variable.space == Space::Shared)
      base = decoder.sharedOffsets[operand.index];
    else if (auto found = decoder.parameterOffsets.find(operand.index); found != decoder.parameterOffsets.end())
      base = found->second;
    else if (variable.space == Space::Local || variable.space == Space::Param)
      base = decoder.localOffset(operand.index);
    else
      base = decoder.addresses[operand.index];
    if (variable.external)
      fail("variable '", variable.name, "' is defined in no module");
    return decoder.constantSlot(width, base + operand.bits);
  }
  default:
    fail("operand '", operand.name, "' is of the wrong kind");
    return scratch();
  }
}

void Form::address(size_t i, unsigned place, Space &space) {
  const Operand &where = operand(i);
  if (where.kind != Operand::Kind::Address) {
    fail("expected an address in brackets");
    return;
  }
  inst.imm = where.bits;
  if (where.parts.empty()) {
    inst.s[place] = decoder.constantSlot(8, 0);
    inst.flags |= kWide;
    return;
  }
  const Operand &base = where.parts[0];
  if (base.kind == Operand::Kind::Register) {
    unsigned width = registerWidth(base);
    if (width != 4 && width != 8)
      fail("register '", base.name, "' is no address");
    inst.flags |= width == 8 ? kWide : 0;
    inst.s[place] = decoder.frame->slots[base.index];
    return;
  }
  inst.flags |= kWide;
  inst.s[place] = sourceOf(base, Type::U64);
  // Parameters of calls live with the thread's local memory.
  if (base.kind == Operand::Kind::Variable) {
    const Variable &variable = decoder.module.variables[base.index];
    if (space == Space::Param && !decoder.parameterOffsets.contains(base.index))
      space = Space::Local;
    else if (space == Space::Generic)
      space = variable.space;
  }
}

uint32_t Form::constant(uint32_t value) { return decoder.constantSlot(4, value); }

uint32_t Form::addList(const std::vector<uint32_t> &values) {
  auto first = static_cast<uint32_t>(decoder.program.lists.size());
  decoder.program.lists.insert(decoder.program.lists.end(), values.begin(), values.end());
  return first;
}

uint64_t Form::immediate(size_t i) {
  if (operand(i).kind != Operand::Kind::Integer)
    fail("operand ", i + 1, " must be an integer constant");
  return operand(i).bits;
}

} // namespace peer::runtime::sim
