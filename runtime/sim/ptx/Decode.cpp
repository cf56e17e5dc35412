#include "Decode.h"

#include <algorithm>

namespace peer::runtime::sim {

const HandlerTable &handlers() {
  static const HandlerTable table = [] {
    HandlerTable made;
    for (auto add : {addIntegerHandlers, addBitHandlers, addCompareHandlers, addMoveHandlers, addConvertHandlers,
                     addMathHandlers, addMemoryHandlers, addAtomicHandlers, addAsyncHandlers, addMatrixHandlers,
                     addWarpHandlers, addControlHandlers})
      add(made);
    return made;
  }();
  return table;
}

namespace {
/// Slots are whole cache lines.
constexpr uint32_t kSlotAlign = 64;
constexpr unsigned kMaxDepth = 64;
// What a kernel may need: calls are inlined, so that a short text can describe a program without end.
constexpr uint64_t kMaxInstructions = uint64_t{1} << 20;
constexpr uint64_t kMaxRegisterBytes = uint64_t{64} << 20; // of a warp
constexpr uint64_t kMaxLocal = 512 << 10;                  // of a thread, as on GPUs
constexpr uint64_t kMaxShared = uint64_t{1} << 25;         // a launch wants less
constexpr uint64_t kMaxParameters = 32764;

uint64_t alignUp(uint64_t value, uint64_t align) { return (value + align - 1) & ~(align - 1); }
} // namespace

uint32_t Decoder::addSlot(unsigned width) {
  uint32_t slot = program.registerBytes;
  program.registerBytes += width == 0 ? kSlotAlign : std::max(kLanes * width, kSlotAlign);
  return slot;
}

uint32_t Decoder::constantSlot(unsigned width, uint64_t bits) {
  if (width && width < 8)
    bits &= (uint64_t{1} << (width * 8)) - 1;
  auto [found, added] = constants.try_emplace({width, bits}, 0);
  if (added) {
    found->second = addSlot(width);
    program.constants.push_back({found->second, width, bits});
  }
  return found->second;
}

uint32_t Decoder::specialSlot(Special what, unsigned width) {
  auto [found, added] = specials.try_emplace({what, width}, 0);
  if (added) {
    found->second = addSlot(width);
    program.specials.push_back({found->second, width, what});
  }
  return found->second;
}

uint32_t Decoder::localOffset(uint32_t index) {
  auto [found, added] = frame->localOffsets.try_emplace(index, 0);
  if (added) {
    const Variable &variable = module.variables[index];
    uint64_t offset = alignUp(program.localBytes, std::max<uint64_t>(variable.align, 8));
    found->second = static_cast<uint32_t>(offset);
    // One byte too much is remembered by checkSize(), and all that follows has the same place.
    program.localBytes = static_cast<uint32_t>(std::min(alignUp(offset + variable.bytes, 16), kMaxLocal + 1));
  }
  return found->second;
}

/// Places the shared variables that a function and its callees name. Those without a size all begin where the others end.
Status Decoder::layoutShared(const Function &function, std::vector<const Function *> &path, bool dynamic) {
  if (std::find(path.begin(), path.end(), &function) != path.end())
    return Status::error("PTX line ", function.line, ": function '", function.name,
                         "' calls itself; recursion is not supported");
  if (!laidOut.insert(&function).second)
    return {};
  path.push_back(&function);
  auto place = [&](auto &self, const Operand &operand) -> Status {
    if (operand.kind == Operand::Kind::Variable) {
      const Variable &variable = module.variables[operand.index];
      if (variable.space == Space::Shared && variable.dynamic == dynamic && !sharedOffsets.contains(operand.index)) {
        uint64_t offset = alignUp(program.sharedBytes, variable.align);
        if (offset + variable.bytes > kMaxShared)
          return Status::error("PTX line ", variable.line, ": '", variable.name,
                               "' is more shared memory than there is");
        sharedOffsets[operand.index] = static_cast<uint32_t>(offset);
        if (!dynamic)
          program.sharedBytes = static_cast<uint32_t>(offset + variable.bytes);
      }
    } else if (operand.kind == Operand::Kind::Label) {
      if (const Function *callee = module.find(operand.name); callee && !callee->entry)
        PEER_TRY(layoutShared(*callee, path, dynamic));
    }
    for (const Operand &part : operand.parts)
      PEER_TRY(self(self, part));
    return {};
  };
  for (const Statement &statement : function.statements)
    for (const Operand &operand : statement.operands)
      if (operand.kind != Operand::Kind::Label || statement.opcode.starts_with("call"))
        PEER_TRY(place(place, operand));
  path.pop_back();
  return {};
}

Result<Program> Decoder::run(const Function &kernel) {
  program.name = kernel.name;
  program.maxThreads = kernel.maxThreads;
  program.requiredThreads = kernel.requiredThreads;
  // Slot 0: results that nobody wants.
  addSlot(8);
  std::vector<const Function *> path;
  PEER_TRY(layoutShared(kernel, path, false));
  program.sharedBytes = static_cast<uint32_t>(alignUp(program.sharedBytes, 16));
  laidOut.clear();
  PEER_TRY(layoutShared(kernel, path, true));
  for (uint32_t index : kernel.parameters) {
    const Variable &variable = module.variables[index];
    uint64_t end = alignUp(program.parameterBytes, variable.align) + variable.bytes;
    if (end > kMaxParameters)
      return Status::error("PTX line ", variable.line, ": kernel '", kernel.name, "' takes more than ", kMaxParameters,
                           " bytes of parameters");
    auto offset = static_cast<uint32_t>(end - variable.bytes);
    parameterOffsets[index] = offset;
    program.parameters.push_back({offset, static_cast<uint32_t>(variable.bytes)});
    program.parameterBytes = static_cast<uint32_t>(offset + variable.bytes);
  }
  Frame outermost;
  outermost.function = &kernel;
  PEER_TRY(body(outermost, 0));
  rankBlocks(program);
  return std::move(program);
}

/// Whether the kernel still is one that can be run; asked often enough that no size overflows in between.
Status Decoder::checkSize(const Function &function, size_t registers) const {
  auto tooLarge = [&](const auto &...what) {
    return Status::error("PTX line ", function.line, ": with '", function.name, "', kernel '", program.name, "' ",
                         what...);
  };
  if (program.code.size() > kMaxInstructions)
    return tooLarge("has more than ", kMaxInstructions, " instructions");
  if (program.registerBytes + uint64_t{kLanes} * 8 * registers > kMaxRegisterBytes)
    return tooLarge("has too many registers");
  if (program.localBytes > kMaxLocal)
    return tooLarge("needs more than ", kMaxLocal, " bytes of local memory in a thread");
  return {};
}

Status Decoder::body(Frame &into, unsigned depth) {
  Frame *outer = std::exchange(frame, &into);
  std::vector<size_t> outerReturns = std::exchange(returns, {});
  const Function &function = *into.function;
  PEER_TRY(checkSize(function, function.registers.size()));
  for (Type type : function.registers)
    into.slots.push_back(addSlot(type == Type::Pred ? 0 : std::max(byteWidth(type), 2u)));

  std::vector<uint32_t> starts;
  for (const Statement &each : function.statements) {
    starts.push_back(static_cast<uint32_t>(program.code.size()));
    // What a call inlines aims its own branches.
    PEER_TRY(statement(each, depth));
    PEER_TRY(checkSize(function));
  }
  if (depth == 0) {
    starts.push_back(static_cast<uint32_t>(program.code.size()));
    Statement end;
    end.opcode = "exit";
    end.line = function.statements.empty() ? function.line : function.statements.back().line;
    PEER_TRY(statement(end, depth));
  } else {
    starts.push_back(static_cast<uint32_t>(program.code.size()));
  }
  for (size_t i = 0; i < function.statements.size(); ++i) {
    const Statement &each = function.statements[i];
    if (each.opcode.starts_with("bra")) {
      program.code[starts[i]].target = starts[each.operands[0].index];
    } else if (each.opcode.starts_with("brx")) {
      for (size_t target = 0; target < each.operands[1].parts.size(); ++target)
        program.lists[program.code[starts[i]].list + target] = starts[each.operands[1].parts[target].index];
    }
  }
  for (size_t index : returns)
    program.code[index].target = static_cast<uint32_t>(program.code.size());
  frame = outer;
  returns = std::move(outerReturns);
  return {};
}

void Decoder::append(Form &form) {
  Inst &inst = form.inst;
  const Statement &statement = form.statement;
  inst.guard = statement.guard < 0 ? constantSlot(0, kAllLanes) : frame->slots[static_cast<size_t>(statement.guard)];
  inst.guardNegated = statement.guardNegated;
  program.code.push_back(inst);
}

Status Decoder::statement(const Statement &statement, unsigned depth) {
  if (statement.opcode.starts_with("call"))
    return call(statement, depth);
  Form form(*this, statement);
  auto found = handlers().find(form.name());
  if (found == handlers().end())
    form.unknown();
  else
    found->second(form);
  if (form.parts.size() > 1)
    form.unknown();
  if (form.inst.control == Control::None && !form.inst.run)
    form.unknown();
  PEER_TRY(form.status);
  bool returning = depth > 0 && form.name() == "ret";
  if (returning) {
    form.inst.control = Control::Branch;
    returns.push_back(program.code.size());
  }
  append(form);
  return {};
}

/// Functions are inlined: parameters of a call are local memory of the caller that the callee knows under its own names.
Status Decoder::call(const Statement &statement, unsigned depth) {
  auto failed = [&](const auto &...args) { return Status::error("PTX line ", statement.line, ": ", args...); };
  const std::vector<Operand> &operands = statement.operands;
  size_t at = !operands.empty() && operands[0].kind == Operand::Kind::List ? 1 : 0;
  if (operands.size() <= at || operands[at].kind != Operand::Kind::Label)
    return failed("unknown instruction '", statement.opcode, "': only calls of a function by name are supported");
  const Function *callee = module.find(operands[at].name);
  if (!callee || callee->entry)
    return failed("call of '", operands[at].name, "', which is no function of this module");
  if (depth >= kMaxDepth)
    return failed("calls nest too deep");
  Frame inner;
  inner.function = callee;
  auto bind = [&](const Operand *actual, const std::vector<uint32_t> &formal) -> Status {
    size_t count = actual ? actual->parts.size() : 0;
    if (count != formal.size())
      return failed("function '", callee->name, "' takes ", formal.size(), " parameters or results here, got ", count);
    for (size_t i = 0; i < count; ++i) {
      const Operand &part = actual->parts[i];
      if (part.kind != Operand::Kind::Variable || module.variables[part.index].space != Space::Param)
        return failed("calls pass variables in .param space");
      inner.localOffsets[formal[i]] = localOffset(part.index);
    }
    return {};
  };
  PEER_TRY(bind(at ? &operands[0] : nullptr, callee->results));
  PEER_TRY(bind(operands.size() > at + 1 ? &operands[at + 1] : nullptr, callee->parameters));
  // A guarded call is a branch around it.
  size_t skip = program.code.size();
  if (statement.guard >= 0) {
    Statement around = statement;
    around.opcode = "bra";
    around.guardNegated = !statement.guardNegated;
    Form form(*this, around);
    form.inst.control = Control::Branch;
    append(form);
  }
  PEER_TRY(body(inner, depth + 1));
  if (statement.guard >= 0)
    program.code[skip].target = static_cast<uint32_t>(program.code.size());
  return {};
}

} // namespace peer::runtime::sim
