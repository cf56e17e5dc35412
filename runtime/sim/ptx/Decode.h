// From parsed statements to a Program.
#pragma once

#include "Program.h"

#include <map>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace peer::runtime::sim {

class Decoder;

/// One instruction being decoded: takes its modifiers and operands apart. The first failure stays, later calls do no harm.
class Form {
public:
  Form(Decoder &decoder, const Statement &statement);

  std::string_view name() const { return parts[0]; }
  /// Removes a modifier; whether it was there. Every modifier has to be taken: a leftover one is an error.
  bool take(std::string_view modifier);
  bool has(std::string_view modifier) const;
  /// Removes the first of these modifiers that is there; its index, or how many they are where none is.
  uint8_t takeOneOf(std::span<const std::string_view> modifiers);
  /// Removes the first modifier that is a type.
  Type type();
  /// Removes modifiers that only say how caches or schedulers should behave.
  void takeHints();
  size_t operands() const { return statement.operands.size(); }
  const Operand &operand(size_t i) const;
  bool wantOperands(size_t least, size_t most);

  /// The place of a result or source of this type.
  uint32_t dest(size_t i, Type type) { return destOf(operand(i), type); }
  uint32_t source(size_t i, Type type, uint32_t negateFlag = 0) { return sourceOf(operand(i), type, negateFlag); }
  uint32_t destOf(const Operand &operand, Type type);
  uint32_t sourceOf(const Operand &operand, Type type, uint32_t negateFlag = 0);
  /// Bytes of the register that an operand is; 0 for anything else.
  unsigned registerWidth(const Operand &operand) const;
  /// [base + offset] into s[place] and imm, for a space that may turn out to be another one.
  void address(size_t i, unsigned place, Space &space);
  /// A constant of 32 bits for every lane.
  uint32_t constant(uint32_t value);
  uint32_t addList(const std::vector<uint32_t> &values);
  /// The integer an operand must be.
  uint64_t immediate(size_t i);
  uint32_t scratch() const;
  /// The place of the carry flag, a predicate.
  uint32_t carry();

  template <typename... Args>
  void fail(const Args &...args) {
    if (status.ok())
      status = Status::error("PTX line ", statement.line, ": '", statement.opcode, "': ", args...);
  }
  /// No form of this instruction is known under these modifiers.
  void unknown();

  Inst inst;
  Program &program();
  const Statement &statement;
  Status status;
  std::vector<std::string_view> parts;
  Decoder &decoder;
};

/// Decodes one family of instructions by the first part of their names.
using Handler = void (*)(Form &);
using HandlerTable = std::unordered_map<std::string_view, Handler>;
const HandlerTable &handlers();

void addIntegerHandlers(HandlerTable &table);
void addBitHandlers(HandlerTable &table);
void addCompareHandlers(HandlerTable &table);
void addMoveHandlers(HandlerTable &table);
void addConvertHandlers(HandlerTable &table);
void addMathHandlers(HandlerTable &table);
void addMemoryHandlers(HandlerTable &table);
void addAtomicHandlers(HandlerTable &table);
void addAsyncHandlers(HandlerTable &table);
void addMatrixHandlers(HandlerTable &table);
void addWarpHandlers(HandlerTable &table);
void addControlHandlers(HandlerTable &table);
/// add, sub, mul, fma, min, ... exist for integers and floats; the integer handlers pass float types on to these.
void decodeFloatArithmetic(Form &form, Type type);
void decodeHalfArithmetic(Form &form, Type type);
/// The forms with a carry, whose names end in c or have .cc.
void decodeCarry(Form &form);

class Decoder {
public:
  /// `addresses` are those of the module's global and constant variables.
  Decoder(const Module &module, const std::vector<uint64_t> &addresses) : module(module), addresses(addresses) {}
  Result<Program> run(const Function &kernel);

private:
  friend class Form;
  /// A function's body at one place it is called from.
  struct Frame {
    const Function *function = nullptr;
    std::vector<uint32_t> slots;
    std::unordered_map<uint32_t, uint32_t> localOffsets;
  };

  Status layoutShared(const Function &function, std::vector<const Function *> &path, bool dynamic);
  Status body(Frame &frame, unsigned depth);
  Status checkSize(const Function &function, size_t registers = 0) const;
  Status statement(const Statement &statement, unsigned depth);
  Status call(const Statement &statement, unsigned depth);
  uint32_t addSlot(unsigned width);
  uint32_t constantSlot(unsigned width, uint64_t bits);
  uint32_t specialSlot(Special what, unsigned width);
  uint32_t localOffset(uint32_t variable);
  void append(Form &form);

  const Module &module;
  const std::vector<uint64_t> &addresses;
  Program program;
  Frame *frame = nullptr;
  /// 0 until an instruction uses the carry flag.
  uint32_t carrySlot = 0;
  std::map<std::pair<unsigned, uint64_t>, uint32_t> constants;
  std::map<std::pair<Special, unsigned>, uint32_t> specials;
  std::unordered_map<uint32_t, uint32_t> parameterOffsets;
  std::unordered_map<uint32_t, uint32_t> sharedOffsets;
  /// Functions whose shared variables have been looked at.
  std::unordered_set<const Function *> laidOut;
  /// Branches out of the body being decoded, to be aimed at the code after it.
  std::vector<size_t> returns;
};

/// Finds basic blocks and gives each its rank: loops stay together, what follows a loop or a branch ranks after it.
void rankBlocks(Program &program);

} // namespace peer::runtime::sim
