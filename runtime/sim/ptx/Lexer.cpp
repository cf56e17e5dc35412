#include "Lexer.h"

#include <bit>
#include <cctype>
#include <cstdlib>
#include <string>

namespace peer::runtime::sim {

namespace {
bool isWordStart(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%'; }
bool isWordPart(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$'; }

class Lexer {
public:
  explicit Lexer(std::string_view text) : text(text) {}

  Result<std::vector<Token>> run() {
    while (true) {
      PEER_TRY(skipBlanks());
      if (at >= text.size())
        break;
      Token token;
      token.line = line;
      PEER_TRY(next(token));
      tokens.push_back(token);
    }
    Token end;
    end.line = line;
    end.text = "end of text";
    tokens.push_back(end);
    return std::move(tokens);
  }

private:
  char peek(size_t ahead = 0) const { return at + ahead < text.size() ? text[at + ahead] : '\0'; }

  Status skipBlanks() {
    while (at < text.size()) {
      char c = peek();
      if (c == '\n') {
        ++line;
        ++at;
      } else if (std::isspace(static_cast<unsigned char>(c)) || c == '\0') {
        // Drivers hand PTX over with its terminating zero.
        ++at;
      } else if (c == '/' && peek(1) == '/') {
        while (at < text.size() && peek() != '\n')
          ++at;
      } else if (c == '/' && peek(1) == '*') {
        size_t end = text.find("*/", at + 2);
        if (end == std::string_view::npos)
          return Status::error("PTX line ", line, ": comment without end");
        for (; at < end + 2; ++at)
          line += text[at] == '\n';
      } else {
        break;
      }
    }
    return {};
  }

  Status next(Token &token) {
    size_t start = at;
    char c = peek();
    if (isWordStart(c)) {
      ++at;
      // Dotted parts belong to the word, and so do parts such as L2::128B.
      while (isWordPart(peek()) || (peek() == '.' && isWordPart(peek(1))) ||
             (peek() == ':' && peek(1) == ':' && isWordPart(peek(2))))
        at += peek() == ':' ? 2 : 1;
      token.kind = Token::Kind::Word;
    } else if (c == '.' && isWordPart(peek(1)) && !std::isdigit(static_cast<unsigned char>(peek(1)))) {
      ++at;
      while (isWordPart(peek()) || (peek() == ':' && peek(1) == ':'))
        at += peek() == ':' ? 2 : 1;
      token.kind = Token::Kind::Directive;
    } else if (std::isdigit(static_cast<unsigned char>(c)) ||
               (c == '.' && std::isdigit(static_cast<unsigned char>(peek(1))))) {
      return number(token);
    } else if (c == '"') {
      size_t end = text.find('"', at + 1);
      if (end == std::string_view::npos)
        return Status::error("PTX line ", line, ": string without end");
      at = end + 1;
      token.kind = Token::Kind::String;
    } else {
      ++at;
      token.kind = Token::Kind::Punctuation;
    }
    token.text = text.substr(start, at - start);
    return {};
  }

  Status number(Token &token) {
    size_t start = at;
    char second = static_cast<char>(std::tolower(static_cast<unsigned char>(peek(1))));
    if (peek() == '0' && (second == 'f' || second == 'd')) {
      size_t digits = second == 'f' ? 8 : 16;
      std::string hex(text.substr(at + 2, digits));
      char *end = nullptr;
      token.bits = std::strtoull(hex.c_str(), &end, 16);
      if (hex.size() != digits || *end != '\0')
        return Status::error("PTX line ", line, ": '0", peek(1), "' wants ", digits, " hexadecimal digits");
      at += 2 + digits;
      token.kind = second == 'f' ? Token::Kind::Float32 : Token::Kind::Float64;
    } else {
      bool hex = peek() == '0' && second == 'x';
      bool real = false;
      while (
          isWordPart(peek()) || peek() == '.' ||
          (!hex && (peek() == '+' || peek() == '-') && std::tolower(static_cast<unsigned char>(text[at - 1])) == 'e')) {
        real |= peek() == '.';
        ++at;
      }
      std::string digits(text.substr(start, at - start));
      char *end = nullptr;
      if (real || (!hex && digits.find_first_of("eE") != std::string::npos)) {
        token.bits = std::bit_cast<uint64_t>(std::strtod(digits.c_str(), &end));
        token.kind = Token::Kind::Float64;
      } else {
        bool binary = peekAt(digits, 0) == '0' && (peekAt(digits, 1) == 'b' || peekAt(digits, 1) == 'B');
        token.bits = std::strtoull(digits.c_str() + (binary ? 2 : 0), &end, binary ? 2 : 0);
        if (*end == 'U')
          ++end;
        token.kind = Token::Kind::Integer;
      }
      if (*end != '\0')
        return Status::error("PTX line ", line, ": '", digits, "' is no number");
    }
    token.text = text.substr(start, at - start);
    return {};
  }

  static char peekAt(const std::string &s, size_t i) { return i < s.size() ? s[i] : '\0'; }

  std::string_view text;
  size_t at = 0;
  uint32_t line = 1;
  std::vector<Token> tokens;
};
} // namespace

Result<std::vector<Token>> tokenize(std::string_view text) { return Lexer(text).run(); }

} // namespace peer::runtime::sim
