// A PTX module as parsed: names are resolved, instructions still are what the text says.
#pragma once

#include "Types.h"
#include "core/Status.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace peer::runtime::sim {

/// A variable's initial value that is an address, known once the module is in memory.
struct Relocation {
  uint64_t offset = 0;
  uint32_t variable = 0;
  int64_t addend = 0;
  /// generic(x): the address as every space sees it.
  bool generic = false;
};

struct Variable {
  std::string name;
  Space space = Space::Global;
  Type element = Type::B8;
  uint64_t bytes = 0;
  uint64_t align = 1;
  /// An array without a size: the shared memory that the launch adds.
  bool dynamic = false;
  /// Declared .extern: another module would have to define it.
  bool external = false;
  uint32_t line = 0;
  std::vector<uint8_t> initial;
  std::vector<Relocation> relocations;
};

struct Operand {
  enum class Kind : uint8_t {
    Register,
    Integer,
    Float32,
    Float64,
    Variable,
    /// %tid.x and its like.
    Special,
    /// A label, or a function in a call.
    Label,
    /// [base + offset]; base is the only part, or absent.
    Address,
    /// {a, b} and (a, b).
    List,
    /// p|q.
    Pair,
    /// `_`: a result that nobody wants.
    Sink
  };
  Kind kind = Kind::Sink;
  /// !%p.
  bool negated = false;
  /// Which register, variable, or (labels, once resolved) statement.
  uint32_t index = 0;
  /// An immediate's bits, an address's offset.
  uint64_t bits = 0;
  std::string name;
  std::vector<Operand> parts;
};

struct Statement {
  std::string opcode;
  std::vector<Operand> operands;
  uint32_t line = 0;
  /// The scope in which labels are looked up.
  uint32_t scope = 0;
  int32_t guard = -1;
  bool guardNegated = false;
};

struct Function {
  std::string name;
  bool entry = false;
  bool defined = false;
  uint32_t line = 0;
  std::vector<uint32_t> parameters;
  std::vector<uint32_t> results;
  std::vector<Type> registers;
  std::vector<Statement> statements;
  /// From .maxntid and .reqntid; zeros where absent.
  std::array<uint32_t, 3> maxThreads{}, requiredThreads{};
};

struct Module {
  std::vector<Variable> variables;
  std::vector<Function> functions;

  const Function *find(std::string_view name) const;
};

/// Parses PTX text; the error names the line.
Result<Module> parse(std::string_view text);

} // namespace peer::runtime::sim
