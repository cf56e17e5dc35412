#include "Parser.h"

#include <bit>
#include <cstring>

namespace peer::runtime::sim {

const Function *Module::find(std::string_view name) const {
  for (const Function &function : functions)
    if (function.name == name && function.defined)
      return &function;
  return nullptr;
}

Result<Module> parse(std::string_view text) {
  PEER_TRY_ASSIGN(auto tokens, tokenize(text));
  return Parser(std::move(tokens)).run();
}

Result<Module> Parser::run() {
  Module module;
  scopes.emplace_back();
  while (peek().kind != Token::Kind::End)
    PEER_TRY(topLevel(module));
  return module;
}

bool Parser::accept(char c) {
  if (!peek().is(c))
    return false;
  ++at;
  return true;
}

bool Parser::acceptDirective(std::string_view name) {
  if (peek().kind != Token::Kind::Directive || peek().text != name)
    return false;
  ++at;
  return true;
}

Status Parser::expect(char c) {
  if (!accept(c))
    return error("expected '", c, "' before '", peek().text, "'");
  return {};
}

Result<std::string> Parser::word(std::string_view what) {
  if (peek().kind != Token::Kind::Word)
    return error("expected ", what, " before '", peek().text, "'");
  return std::string(tokens[at++].text);
}

Result<uint64_t> Parser::integer() {
  bool negative = accept('-');
  if (peek().kind != Token::Kind::Integer)
    return error("expected an integer before '", peek().text, "'");
  uint64_t value = tokens[at++].bits;
  return negative ? 0 - value : value;
}

void Parser::skipLine() {
  uint32_t line = peek().line;
  while (peek().kind != Token::Kind::End && peek().line == line)
    ++at;
}

Status Parser::skipTo(char c) {
  while (!peek().is(c)) {
    if (peek().kind == Token::Kind::End)
      return error("expected '", c, "'");
    ++at;
  }
  ++at;
  return {};
}

Status Parser::skipBraces() {
  PEER_TRY(skipTo('{'));
  return skipTo('}');
}

Status Parser::topLevel(Module &module) {
  bool external = false;
  while (acceptDirective(".visible") || acceptDirective(".weak") || acceptDirective(".common") ||
         peek().text == ".extern")
    external |= acceptDirective(".extern");
  std::string_view name = peek().text;
  if (peek().kind != Token::Kind::Directive)
    return error("expected a directive before '", name, "'");
  if (name == ".version" || name == ".target" || name == ".address_size" || name == ".file") {
    skipLine();
    return {};
  }
  if (name == ".section")
    return skipBraces();
  if (acceptDirective(".pragma"))
    return skipTo(';');
  if (acceptDirective(".entry"))
    return function(module, true);
  if (acceptDirective(".func"))
    return function(module, false);
  if (acceptDirective(".global"))
    return variables(module, Space::Global, external);
  if (acceptDirective(".const"))
    return variables(module, Space::Const, external);
  if (acceptDirective(".shared"))
    return variables(module, Space::Shared, external);
  return error("unknown directive '", name, "'");
}

Status Parser::triple(std::array<uint32_t, 3> &values) {
  values = {1, 1, 1};
  for (uint32_t &value : values) {
    PEER_TRY_ASSIGN(value, integer());
    if (!accept(','))
      break;
  }
  return {};
}

Status Parser::kernelDirectives(Function &into) {
  while (peek().kind == Token::Kind::Directive) {
    std::array<uint32_t, 3> ignored;
    if (acceptDirective(".maxntid"))
      PEER_TRY(triple(into.maxThreads));
    else if (acceptDirective(".reqntid"))
      PEER_TRY(triple(into.requiredThreads));
    else if (acceptDirective(".minnctapersm") || acceptDirective(".maxnreg") || acceptDirective(".maxnctapersm"))
      PEER_TRY(triple(ignored));
    else if (!acceptDirective(".noreturn"))
      return error("unknown directive '", peek().text, "'");
  }
  return {};
}

Status Parser::parameters(Module &module, std::vector<uint32_t> &list) {
  if (!accept('('))
    return {};
  while (!accept(')')) {
    if (!acceptDirective(".param"))
      return error("expected '.param' before '", peek().text, "'; functions take parameters in .param space only");
    PEER_TRY_ASSIGN(Variable parsed, variable(Space::Param));
    auto index = static_cast<uint32_t>(module.variables.size());
    scopes[scope].variables[parsed.name] = index;
    module.variables.push_back(std::move(parsed));
    list.push_back(index);
    if (!peek().is(')'))
      PEER_TRY(expect(','));
  }
  return {};
}

Status Parser::function(Module &module, bool entry) {
  Function parsed;
  parsed.entry = entry;
  parsed.line = peek().line;
  scopes.resize(1);
  scopes.emplace_back();
  scope = 1;
  PEER_TRY(parameters(module, parsed.results));
  PEER_TRY_ASSIGN(parsed.name, word("a function's name"));
  PEER_TRY(parameters(module, parsed.parameters));
  PEER_TRY(kernelDirectives(parsed));
  if (!accept(';')) {
    PEER_TRY(expect('{'));
    if (module.find(parsed.name))
      return error("function '", parsed.name, "' is defined twice");
    parsed.defined = true;
    PEER_TRY(body(module, parsed));
    PEER_TRY(resolveLabels(parsed));
  }
  module.functions.push_back(std::move(parsed));
  scope = 0;
  return {};
}

/// What follows the space: `.align 4 .b8 name[16]`.
Result<Variable> Parser::variable(Space space) {
  Variable parsed;
  parsed.space = space;
  parsed.line = peek().line;
  unsigned vector = 1;
  bool typed = false;
  uint64_t align = 0;
  while (peek().kind == Token::Kind::Directive) {
    std::string_view name = peek().text.substr(1);
    if (acceptDirective(".align")) {
      PEER_TRY_ASSIGN(align, integer());
    } else if (acceptDirective(".ptr") || acceptDirective(".managed") || acceptDirective(".global") ||
               acceptDirective(".shared") || acceptDirective(".const") || acceptDirective(".local")) {
      // `.param .u64 .ptr .global .align 16 x` promises where the pointer leads; the checks at run time are stricter. The .align
      // that follows is the pointee's.
      if (name == "ptr")
        while (peek().kind == Token::Kind::Directive) {
          bool pointee = peek().text == ".align";
          ++at;
          if (pointee)
            PEER_TRY(integer().status());
        }
    } else if (acceptDirective(".v2")) {
      vector = 2;
    } else if (acceptDirective(".v4")) {
      vector = 4;
    } else if (auto type = parseType(name); type && byteWidth(*type) != 0) {
      parsed.element = *type;
      typed = true;
      ++at;
    } else {
      return error("unknown directive '", peek().text, "'");
    }
  }
  if (!typed)
    return error("a variable without a type before '", peek().text, "'");
  PEER_TRY_ASSIGN(parsed.name, word("a variable's name"));
  uint64_t element = byteWidth(parsed.element) * vector, count = 1;
  while (accept('[')) {
    if (peek().is(']')) {
      parsed.dynamic = true;
    } else {
      PEER_TRY_ASSIGN(uint64_t extent, integer());
      if (extent && count > ~uint64_t{0} / extent)
        return error("variable '", parsed.name, "' is too large");
      count *= extent;
    }
    PEER_TRY(expect(']'));
  }
  parsed.bytes = parsed.dynamic ? 0 : element * count;
  parsed.align = align ? align : element;
  constexpr uint64_t kMost = uint64_t{1} << 35;
  bool global = space == Space::Global || space == Space::Const;
  if (element > kMost / std::max<uint64_t>(count, 1) || parsed.bytes > (global ? kMost : kMost >> 10))
    return error("variable '", parsed.name, "' is too large");
  if (!std::has_single_bit(parsed.align) || parsed.align > 4096)
    return error("alignment ", parsed.align, " is no power of two up to 4096");
  return parsed;
}

Status Parser::variables(Module &module, Space space, bool external) {
  do {
    PEER_TRY_ASSIGN(Variable parsed, variable(space));
    parsed.external = external && space != Space::Shared;
    if (accept('='))
      PEER_TRY(initialiser(module, parsed));
    if (parsed.dynamic && space != Space::Shared && !parsed.external)
      parsed.bytes = parsed.initial.size();
    scopes[scope].variables[parsed.name] = static_cast<uint32_t>(module.variables.size());
    module.variables.push_back(std::move(parsed));
  } while (accept(','));
  return expect(';');
}

Status Parser::initialiser(Module &module, Variable &variable) {
  if (variable.space == Space::Shared || variable.space == Space::Local)
    return error("variable '", variable.name, "' in ", spaceName(variable.space),
                 " memory cannot have an initial value");
  unsigned width = byteWidth(variable.element);
  unsigned depth = 0;
  uint64_t offset = 0;
  do {
    if (accept('{')) {
      ++depth;
    } else if (accept('}')) {
      --depth;
    } else if (!accept(',')) {
      if (!variable.dynamic && offset + width > variable.bytes)
        return error("variable '", variable.name, "' has more initial values than room");
      variable.initial.resize(offset + width);
      PEER_TRY(initialValue(module, variable, offset));
      offset += width;
    }
  } while (depth);
  return {};
}

Status Parser::initialValue(Module &module, Variable &variable, uint64_t offset) {
  unsigned width = byteWidth(variable.element);
  uint64_t bits = 0;
  bool generic = false;
  if (peek().kind == Token::Kind::Word) {
    PEER_TRY_ASSIGN(std::string name, word("a name"));
    if (name == "generic" && accept('(')) {
      generic = true;
      PEER_TRY_ASSIGN(name, word("a name"));
      PEER_TRY(expect(')'));
    }
    auto found = scopes[0].variables.find(name);
    if (found == scopes[0].variables.end() || width != 8)
      return error("'", name, "' cannot be an initial value here");
    Relocation relocation{offset, found->second, 0, generic};
    if (accept('+')) {
      PEER_TRY_ASSIGN(uint64_t addend, integer());
      relocation.addend = static_cast<int64_t>(addend);
    }
    variable.relocations.push_back(relocation);
    return {};
  }
  bool negative = accept('-');
  const Token &token = peek();
  switch (token.kind) {
  case Token::Kind::Integer:
    bits = negative ? 0 - token.bits : token.bits;
    break;
  case Token::Kind::Float32:
    bits = token.bits ^ (negative ? 0x80000000u : 0u);
    if (variable.element == Type::F64)
      bits = std::bit_cast<uint64_t>(static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits))));
    break;
  case Token::Kind::Float64:
    bits = token.bits ^ (negative ? uint64_t{1} << 63 : 0u);
    if (variable.element == Type::F32)
      bits = std::bit_cast<uint32_t>(static_cast<float>(std::bit_cast<double>(bits)));
    break;
  default:
    return error("expected an initial value before '", token.text, "'");
  }
  ++at;
  std::memcpy(variable.initial.data() + offset, &bits, width);
  return {};
}

} // namespace peer::runtime::sim
