//===- OptionValues.h - options are parsed, and none takes the next for its value ===//

#ifndef PEER_TOOLS_OPTIONVALUES_H
#define PEER_TOOLS_OPTIONVALUES_H

/// LLVM takes the argument after an option that wants a value for that value, also where it is an option itself: `-o --target=cpu` would write a
/// file of that name. Says so on stderr and returns false where an option has no value, or `-o` an empty one.
bool optionsHaveValues(int argc, char **argv);

/// Parses all registered options. Where that fails, says on stderr in one line what is wrong, and returns false.
bool parseOptions(int argc, char **argv, const char *overview);

#endif // PEER_TOOLS_OPTIONVALUES_H
