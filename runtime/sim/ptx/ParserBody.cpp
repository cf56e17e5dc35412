#include "Parser.h"

namespace peer::runtime::sim {

Status Parser::body(Module &module, Function &into) {
  unsigned depth = 1;
  while (depth) {
    if (peek().kind == Token::Kind::End)
      return error("function '", into.name, "' has no end");
    if (accept('{')) {
      scopes.emplace_back().parent = scope;
      scope = static_cast<uint32_t>(scopes.size() - 1);
      ++depth;
    } else if (accept('}')) {
      scope = scopes[scope].parent;
      --depth;
    } else if (peek().kind == Token::Kind::Directive) {
      PEER_TRY(bodyDirective(module, into));
    } else if (peek().kind == Token::Kind::Word && peek(1).is(':')) {
      std::string name(peek().text);
      at += 2;
      if (acceptDirective(".branchtargets")) {
        std::vector<std::string> &targets = scopes[scope].targets[name];
        do {
          PEER_TRY_ASSIGN(std::string target, word("a label"));
          targets.push_back(std::move(target));
        } while (accept(','));
        PEER_TRY(expect(';'));
      } else if (!scopes[scope].labels.emplace(name, into.statements.size()).second) {
        return error("label '", name, "' is defined twice");
      }
    } else if (!accept(';')) {
      PEER_TRY(instruction(into));
    }
  }
  return {};
}

Status Parser::bodyDirective(Module &module, Function &into) {
  if (acceptDirective(".reg"))
    return registers(into);
  if (acceptDirective(".local"))
    return variables(module, Space::Local, false);
  if (acceptDirective(".shared"))
    return variables(module, Space::Shared, false);
  if (acceptDirective(".global"))
    return variables(module, Space::Global, false);
  if (acceptDirective(".const"))
    return variables(module, Space::Const, false);
  if (acceptDirective(".param"))
    return variables(module, Space::Param, false);
  if (acceptDirective(".pragma"))
    return skipTo(';');
  if (peek().text == ".loc" || peek().text == ".file") {
    skipLine();
    return {};
  }
  return error("unknown directive '", peek().text, "'");
}

Status Parser::registers(Function &into) {
  if (peek().kind != Token::Kind::Directive)
    return error("expected a type before '", peek().text, "'");
  std::optional<Type> type = parseType(peek().text.substr(1));
  if (!type || *type == Type::TF32)
    return error("registers of type '", peek().text, "' are not supported");
  ++at;
  do {
    PEER_TRY_ASSIGN(std::string name, word("a register's name"));
    auto first = static_cast<uint32_t>(into.registers.size());
    if (accept('<')) {
      PEER_TRY_ASSIGN(uint64_t count, integer());
      PEER_TRY(expect('>'));
      if (count > (1u << 16) || first + count > (1u << 16))
        return error(count, " registers are too many");
      into.registers.resize(first + count, *type);
      scopes[scope].ranges[name] = {first, static_cast<uint32_t>(count)};
    } else {
      into.registers.push_back(*type);
      scopes[scope].registers[name] = first;
    }
  } while (accept(','));
  return expect(';');
}

void Parser::resolveName(Operand &operand, const std::string &name) const {
  operand.name = name;
  size_t digits = name.find_last_not_of("0123456789") + 1;
  std::string prefix = name.substr(0, digits);
  // A leading zero is part of the prefix in no generated code, and std::stoul must not overflow.
  bool numbered = digits < name.size() && name.size() - digits < 9;
  uint32_t number = numbered ? static_cast<uint32_t>(std::stoul(name.substr(digits))) : 0;
  for (uint32_t s = scope;; s = scopes[s].parent) {
    const Scope &here = scopes[s];
    if (auto found = here.registers.find(name); found != here.registers.end()) {
      operand.kind = Operand::Kind::Register;
      operand.index = found->second;
      return;
    }
    if (auto found = here.ranges.find(prefix); numbered && found != here.ranges.end() && number < found->second.count) {
      operand.kind = Operand::Kind::Register;
      operand.index = found->second.first + number;
      return;
    }
    if (auto found = here.variables.find(name); found != here.variables.end()) {
      operand.kind = Operand::Kind::Variable;
      operand.index = found->second;
      return;
    }
    if (s == 0)
      break;
  }
  operand.kind = name[0] == '%' ? Operand::Kind::Special : Operand::Kind::Label;
}

Status Parser::list(Operand &into, char close) {
  constexpr unsigned kMaxNesting = 16;
  if (++nesting > kMaxNesting)
    return error("lists nest too deep");
  into.kind = Operand::Kind::List;
  while (!accept(close)) {
    PEER_TRY_ASSIGN(Operand part, operand());
    into.parts.push_back(std::move(part));
    if (!peek().is(close))
      PEER_TRY(expect(','));
  }
  --nesting;
  return {};
}

Result<Operand> Parser::primary() {
  Operand parsed;
  if (accept('{')) {
    PEER_TRY(list(parsed, '}'));
    return parsed;
  }
  if (accept('(')) {
    PEER_TRY(list(parsed, ')'));
    return parsed;
  }
  if (accept('[')) {
    parsed.kind = Operand::Kind::Address;
    if (peek().kind == Token::Kind::Word) {
      PEER_TRY_ASSIGN(Operand base, primary());
      parsed.parts.push_back(std::move(base));
      if (accept('+') || peek().is('-')) {
        PEER_TRY_ASSIGN(parsed.bits, integer());
      }
    } else {
      PEER_TRY_ASSIGN(parsed.bits, integer());
    }
    PEER_TRY(expect(']'));
    return parsed;
  }
  bool negative = accept('-');
  const Token &token = peek();
  parsed.bits = token.bits;
  switch (token.kind) {
  case Token::Kind::Integer:
    parsed.kind = Operand::Kind::Integer;
    parsed.bits = negative ? 0 - token.bits : token.bits;
    break;
  case Token::Kind::Float32:
    parsed.kind = Operand::Kind::Float32;
    parsed.bits ^= negative ? 0x80000000u : 0u;
    break;
  case Token::Kind::Float64:
    parsed.kind = Operand::Kind::Float64;
    parsed.bits ^= negative ? uint64_t{1} << 63 : 0u;
    break;
  case Token::Kind::Word:
    if (negative)
      return error("'-' before '", token.text, "'");
    if (token.text == "_") {
      parsed.kind = Operand::Kind::Sink;
    } else if (token.text == "WARP_SZ") {
      parsed.kind = Operand::Kind::Integer;
      parsed.bits = 32;
    } else {
      resolveName(parsed, std::string(token.text));
    }
    break;
  default:
    return error("expected an operand before '", token.text, "'");
  }
  ++at;
  return parsed;
}

Result<Operand> Parser::operand() {
  bool negated = accept('!');
  PEER_TRY_ASSIGN(Operand parsed, primary());
  parsed.negated = negated;
  if (accept('|')) {
    Operand pair;
    pair.kind = Operand::Kind::Pair;
    PEER_TRY_ASSIGN(Operand second, primary());
    pair.parts.push_back(std::move(parsed));
    pair.parts.push_back(std::move(second));
    return pair;
  }
  // `table+4` outside brackets: the address of an element.
  if (parsed.kind == Operand::Kind::Variable && accept('+')) {
    PEER_TRY_ASSIGN(parsed.bits, integer());
  }
  return parsed;
}

Status Parser::instruction(Function &into) {
  Statement statement;
  statement.line = peek().line;
  statement.scope = scope;
  if (accept('@')) {
    statement.guardNegated = accept('!');
    PEER_TRY_ASSIGN(Operand guard, primary());
    if (guard.kind != Operand::Kind::Register || into.registers[guard.index] != Type::Pred)
      return error("a guard must be a predicate register");
    statement.guard = static_cast<int32_t>(guard.index);
  }
  PEER_TRY_ASSIGN(statement.opcode, word("an instruction"));
  while (!accept(';')) {
    PEER_TRY_ASSIGN(Operand parsed, operand());
    statement.operands.push_back(std::move(parsed));
    if (!peek().is(';'))
      PEER_TRY(expect(','));
  }
  into.statements.push_back(std::move(statement));
  return {};
}

const uint32_t *Parser::findLabel(uint32_t from, const std::string &name) const {
  for (uint32_t s = from; s != 0; s = scopes[s].parent)
    if (auto found = scopes[s].labels.find(name); found != scopes[s].labels.end())
      return &found->second;
  return nullptr;
}

/// Branches only: in a call, a name that is no variable is a function.
Status Parser::resolveLabels(Function &function) {
  for (Statement &statement : function.statements) {
    bool indexed = statement.opcode.starts_with("brx.idx");
    if (!indexed && !statement.opcode.starts_with("bra"))
      continue;
    if (indexed && statement.operands.size() == 2) {
      Operand &list = statement.operands[1];
      list.kind = Operand::Kind::List;
      for (uint32_t s = statement.scope; s != 0 && list.parts.empty(); s = scopes[s].parent)
        if (auto found = scopes[s].targets.find(list.name); found != scopes[s].targets.end())
          for (const std::string &target : found->second) {
            Operand label;
            label.kind = Operand::Kind::Label;
            label.name = target;
            list.parts.push_back(std::move(label));
          }
    }
    std::vector<Operand> &labels =
        indexed && statement.operands.size() == 2 ? statement.operands[1].parts : statement.operands;
    for (Operand &label : labels) {
      const uint32_t *found = label.kind == Operand::Kind::Label ? findLabel(statement.scope, label.name) : nullptr;
      if (!found)
        return Status::error("PTX line ", statement.line, ": no label '", label.name, "'");
      label.index = *found;
    }
  }
  return {};
}

} // namespace peer::runtime::sim
