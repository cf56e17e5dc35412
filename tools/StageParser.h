//===- StageParser.h - the value of --emit -------------------------------===//

#ifndef PEER_TOOLS_STAGEPARSER_H
#define PEER_TOOLS_STAGEPARSER_H

#include "dialect/Names.h"
#include "dialect/Nearest.h"
#include "lowering/Compiler.h"

#include "llvm/Support/CommandLine.h"

namespace peer {

/// As LLVM's parser of an enumeration, which would not say what is known.
struct StageParser : llvm::cl::parser<Stage> {
  using parser::parser;
  bool parse(llvm::cl::Option &option, llvm::StringRef, llvm::StringRef given, Stage &stage) {
    llvm::SmallVector<llvm::StringRef> known;
    for (const OptionInfo &info : Values) {
      if (info.Name == given) {
        stage = info.V.getValue();
        return false;
      }
      known.push_back(info.Name);
    }
    return option.error("unknown stage " + quote(given) + "; known are " + listNames(known) + didYouMean(given, known));
  }
};

} // namespace peer

#endif // PEER_TOOLS_STAGEPARSER_H
