#include "TokenMutator.h"

#include "Harness.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <set>

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

namespace peer::fuzz {
namespace {

enum class Kind { Space, Number, Word, Name, String, Punctuation };
struct Token {
  Kind kind;
  std::string text;
};

using Random = std::mt19937;
size_t below(Random &random, size_t count) { return count ? random() % count : 0; }

bool isWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$'; }

/// Element types stay whole: in `4x16xf32` a mutated width is worth nothing.
size_t elementType(std::string_view text) {
  for (std::string_view type : {"bf16", "f16", "f32", "f64", "i1", "i8", "i16", "i32", "i64", "index"})
    if (text.starts_with(type) && (text.size() == type.size() || !isWord(text[type.size()])))
      return type.size();
  return 0;
}

size_t tokenEnd(std::string_view text, Kind &kind) {
  char c = text[0];
  size_t end = 1;
  auto take = [&](auto belongs) {
    while (end < text.size() && belongs(text[end]))
      ++end;
    return end;
  };
  auto isDigit = [](char d) { return std::isdigit(static_cast<unsigned char>(d)) != 0; };
  if (std::isspace(static_cast<unsigned char>(c))) {
    kind = Kind::Space;
    return take([](char d) { return std::isspace(static_cast<unsigned char>(d)) && d != '\n'; });
  }
  if (c == '"') {
    kind = Kind::String;
    end = text.find('"', 1);
    return end == std::string_view::npos ? text.size() : end + 1;
  }
  if (std::strchr("%@!#^$", c) && text.size() > 1 && isWord(text[1])) {
    kind = Kind::Name;
    return take([](char d) { return isWord(d) || d == '.'; });
  }
  if (isDigit(c)) {
    kind = Kind::Number;
    take(isDigit);
    if (end + 1 < text.size() && text[end] == '.' && isDigit(text[end + 1]))
      take([&](char d) { return isDigit(d) || d == '.' || d == 'e' || d == '-'; });
    return end;
  }
  kind = Kind::Word;
  if (size_t type = elementType(text))
    return type;
  if (c == 'x' && text.size() > 1 && (isDigit(text[1]) || elementType(text.substr(1))))
    return 1;
  if (isWord(c))
    return take(isWord);
  kind = Kind::Punctuation;
  return 1;
}

std::vector<Token> tokensOf(std::string_view text) {
  std::vector<Token> tokens;
  while (!text.empty()) {
    Kind kind;
    size_t end = tokenEnd(text, kind);
    tokens.push_back({kind, std::string(text.substr(0, end))});
    text.remove_prefix(end);
  }
  return tokens;
}

std::vector<std::string> linesOf(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return lines;
}

struct Learned {
  std::vector<std::string> lines;
  std::map<Kind, std::vector<std::string>> tokens;
};
Learned &learned() {
  static Learned instance;
  return instance;
}

constexpr const char *kNumbers[] = {"0",
                                    "1",
                                    "2",
                                    "3",
                                    "7",
                                    "15",
                                    "16",
                                    "17",
                                    "32",
                                    "33",
                                    "64",
                                    "127",
                                    "128",
                                    "255",
                                    "256",
                                    "1000",
                                    "4096",
                                    "65535",
                                    "65536",
                                    "1000000",
                                    "2147483647",
                                    "2147483648",
                                    "4294967295",
                                    "4294967296",
                                    "4611686018427387904",
                                    "9223372036854775807",
                                    "18446744073709551615",
                                    "18446744073709551616",
                                    "0.0",
                                    "0.5",
                                    "1.0e-45",
                                    "1.0e-300",
                                    "1.0e+39",
                                    "1.0e+400",
                                    "0x7FC00000",
                                    "-1",
                                    "-2147483648",
                                    "-9223372036854775808"};

/// Something else of the same kind: from the text itself, or from any file learned.
std::string otherOf(const Token &token, const std::vector<Token> &tokens, Random &random) {
  if (token.kind == Kind::Number && random() % 2)
    return kNumbers[below(random, std::size(kNumbers))];
  const std::vector<std::string> &known = learned().tokens[token.kind];
  if (random() % 3 == 0 && !known.empty())
    return known[below(random, known.size())];
  for (int tries = 0; tries < 40; ++tries)
    if (const Token &other = tokens[below(random, tokens.size())]; other.kind == token.kind && other.text != token.text)
      return other.text;
  return known.empty() ? token.text : known[below(random, known.size())];
}

std::string mutateSomeToken(std::string_view text, Random &random) {
  std::vector<Token> tokens = tokensOf(text);
  std::vector<size_t> places;
  for (size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i].kind != Kind::Space && (tokens[i].kind != Kind::Punctuation || random() % 8 == 0))
      places.push_back(i);
  if (places.empty())
    return std::string(text);
  Token chosen = tokens[places[below(random, places.size())]];
  std::string other = otherOf(chosen, tokens, random);
  // Everywhere, so that what has to agree still does; or at one place, so that it does not.
  bool everywhere = random() % 2;
  size_t only = places[below(random, places.size())];
  if (!everywhere)
    other = otherOf(tokens[only], tokens, random);
  std::string result;
  for (size_t i = 0; i < tokens.size(); ++i) {
    bool here = everywhere ? tokens[i].kind == chosen.kind && tokens[i].text == chosen.text : i == only;
    result += !here ? tokens[i].text : !everywhere && random() % 8 == 0 ? "" : other;
  }
  return result;
}

std::string mutateSomeLine(std::string_view text, Random &random) {
  std::vector<std::string> lines = linesOf(text);
  if (lines.empty())
    return "";
  size_t at = below(random, lines.size()), to = below(random, lines.size());
  switch (random() % 5) {
  case 0:
    lines.erase(lines.begin() + static_cast<ptrdiff_t>(at));
    break;
  case 1:
    lines.insert(lines.begin() + static_cast<ptrdiff_t>(to), std::string(lines[at]));
    break;
  case 2:
    std::swap(lines[at], lines[to]);
    break;
  case 3:
    if (const auto &known = learned().lines; !known.empty())
      lines.insert(lines.begin() + static_cast<ptrdiff_t>(to), known[below(random, known.size())]);
    break;
  default:
    if (const auto &known = learned().lines; !known.empty())
      lines[at] = known[below(random, known.size())];
  }
  std::string result;
  for (const std::string &line : lines)
    result += line;
  return result;
}
} // namespace

void learnTokens(int argc, char **argv) {
  namespace fs = std::filesystem;
  std::map<Kind, std::set<std::string>> tokens;
  std::set<std::string> lines;
  for (int i = 1; i < argc; ++i) {
    std::error_code error;
    for (fs::directory_iterator at(argv[i], error), end; argv[i][0] != '-' && !error && at != end;
         at.increment(error)) {
      std::string text = readAll(at->path().string());
      for (const std::string &line : linesOf(text))
        lines.insert(line);
      for (const Token &token : tokensOf(text))
        tokens[token.kind].insert(token.text);
    }
  }
  learned().lines.assign(lines.begin(), lines.end());
  for (const auto &[kind, texts] : tokens)
    learned().tokens[kind].assign(texts.begin(), texts.end());
}

size_t mutateTokens(uint8_t *data, size_t size, size_t most, unsigned seed) {
  Random random(seed);
  if (random() % 16 == 0)
    return LLVMFuzzerMutate(data, size, most);
  std::string text(reinterpret_cast<const char *>(data), size);
  for (size_t times = 1 + random() % 3; times > 0; --times)
    text = random() % 3 == 0 ? mutateSomeLine(text, random) : mutateSomeToken(text, random);
  size_t length = std::min(text.size(), most);
  std::memcpy(data, text.data(), length);
  return length;
}

} // namespace peer::fuzz
