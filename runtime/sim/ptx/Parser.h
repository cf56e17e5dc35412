// The recursive-descent parser of PTX: declarations in Parser.cpp, function bodies in ParserBody.cpp.
#pragma once

#include "Lexer.h"
#include "Module.h"

#include <map>
#include <unordered_map>

namespace peer::runtime::sim {

class Parser {
public:
  explicit Parser(std::vector<Token> tokens) : tokens(std::move(tokens)) {}
  Result<Module> run();

private:
  /// `.reg .b32 %r<9>` declares a range, `.reg .b32 %a` one name.
  struct Range {
    uint32_t first = 0;
    uint32_t count = 0;
  };
  struct Scope {
    uint32_t parent = 0;
    std::unordered_map<std::string, uint32_t> registers;
    std::unordered_map<std::string, Range> ranges;
    std::unordered_map<std::string, uint32_t> variables;
    /// Statement that follows the label.
    std::unordered_map<std::string, uint32_t> labels;
    /// .branchtargets lists by their label.
    std::unordered_map<std::string, std::vector<std::string>> targets;
  };

  // Tokens.
  const Token &peek(size_t ahead = 0) const { return tokens[std::min(at + ahead, tokens.size() - 1)]; }
  bool accept(char c);
  bool acceptDirective(std::string_view name);
  Status expect(char c);
  Result<std::string> word(std::string_view what);
  Result<uint64_t> integer();
  template <typename... Args>
  Status error(const Args &...args) const {
    return Status::error("PTX line ", peek().line, ": ", args...);
  }
  void skipLine();
  Status skipBraces();
  Status skipTo(char c);

  // Declarations.
  Status topLevel(Module &module);
  Status function(Module &module, bool entry);
  Status parameters(Module &module, std::vector<uint32_t> &list);
  Status kernelDirectives(Function &into);
  Status triple(std::array<uint32_t, 3> &values);
  Status variables(Module &module, Space space, bool external);
  Result<Variable> variable(Space space);
  Status initialiser(Module &module, Variable &variable);
  Status initialValue(Module &module, Variable &variable, uint64_t offset);

  // Bodies.
  Status body(Module &module, Function &into);
  Status bodyDirective(Module &module, Function &into);
  Status registers(Function &into);
  Status instruction(Function &into);
  Result<Operand> operand();
  Result<Operand> primary();
  Status list(Operand &into, char close);
  void resolveName(Operand &operand, const std::string &name) const;
  Status resolveLabels(Function &function);
  const uint32_t *findLabel(uint32_t scope, const std::string &name) const;

  std::vector<Token> tokens;
  size_t at = 0;
  /// Scopes of the function being parsed; 0 is the module's, 1 the function's outermost.
  std::vector<Scope> scopes;
  uint32_t scope = 0;
  /// How many lists of operands are open.
  unsigned nesting = 0;
};

} // namespace peer::runtime::sim
