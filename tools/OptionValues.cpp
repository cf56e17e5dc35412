//===- OptionValues.cpp - options are parsed, and none takes the next for its value ===//

#include "OptionValues.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

/// Whether an argument is an option that takes the next one. `-o` is one in every form, though mlir-opt registers it late.
static bool wantsValue(StringRef argument) {
  if (!argument.consume_front("-"))
    return false;
  argument.consume_front("-");
  if (argument == "o")
    return true;
  auto &options = cl::getRegisteredOptions();
  auto found = options.find(argument);
  return found != options.end() && found->second->getValueExpectedFlag() == cl::ValueRequired;
}

static bool looksLikeOption(StringRef argument) {
  if (argument.starts_with("--"))
    return true;
  StringRef name = argument.split('=').first;
  return name.consume_front("-") && cl::getRegisteredOptions().contains(name);
}

bool optionsHaveValues(int argc, char **argv) {
  auto fail = [](const Twine &sentence) {
    errs() << "peer-opt: error: " << sentence << "\n";
    return false;
  };
  for (int i = 1; i < argc && StringRef(argv[i]) != "--"; ++i) {
    StringRef argument = argv[i];
    if (argument == "-o=" || argument == "--o=")
      return fail("-o is empty, expected the name of a file");
    if (!wantsValue(argument))
      continue;
    if (i + 1 == argc)
      return fail(argument + " wants a value");
    StringRef value = argv[++i];
    if (looksLikeOption(value))
      return fail(argument + " wants a value, and what follows is the option " + value + " (as a value: " + argument +
                  "=" + value + ")");
    if (value.empty() && (argument == "-o" || argument == "--o"))
      return fail("-o is empty, expected the name of a file");
  }
  return true;
}

bool parseOptions(int argc, char **argv, const char *overview) {
  if (!optionsHaveValues(argc, argv))
    return false;
  std::string wrong;
  raw_string_ostream said(wrong);
  if (cl::ParseCommandLineOptions(argc, argv, overview, &said))
    return true;
  // LLVM names the tool and the mistake on one line, guesses on others; wrong values it has reported itself.
  if (!wrong.empty())
    errs() << "peer-opt: error: " << StringRef(wrong).split('\n').first.split(": ").second << "\n";
  return false;
}
