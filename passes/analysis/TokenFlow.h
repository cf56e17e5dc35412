//===- TokenFlow.h - how values depend on tokens --------------*- C++ -*-===//

#ifndef PEER_PASSES_ANALYSIS_TOKENFLOW_H
#define PEER_PASSES_ANALYSIS_TOKENFLOW_H

#include "dialect/PeerOps.h"

#include <string>

namespace peer {

/// Which rows of a value belong to which token.
struct TokenRows {
  /// The dimension that walks over tokens; -1: the value is the same for all of them.
  int64_t dim = -1;
  /// Rows of one token, one after the other.
  int64_t perToken = 1;
  /// Tokens of one row, one after the other; 1 where a token has several rows.
  int64_t tokensPerRow = 1;

  bool depends() const { return dim >= 0; }
  bool walksLike(const TokenRows &other) const {
    return perToken == other.perToken && tokensPerRow == other.tokensPerRow;
  }
  bool operator==(const TokenRows &other) const { return dim == other.dim && walksLike(other); }
};

/// Follows a function's tokens through straight-line ops that compute each token's rows from this token's rows alone.
/// What ops do with rows is read off their index notation; ops on sequences, which look at other tokens or at a row's
/// number, are for the caller to replace.
class TokenFlow {
public:
  TokenFlow() = default;
  explicit TokenFlow(mlir::Value tokens) { addTokens(tokens); }

  /// From here on rows may join several tokens, as those of a sequence. Then a row is computed from its own tokens alone.
  void allowJoinedRows() { joins = true; }

  /// One row of the value is a token.
  void addTokens(mlir::Value tokens) { rows[tokens] = {0, 1}; }

  /// Finds the rows of the op's results. Returns why it does not keep tokens apart, such as "may mix tokens"; empty
  /// where it does.
  std::string visit(mlir::Operation *op);

  TokenRows of(mlir::Value value) const { return rows.lookup(value); }
  /// Whether any operand, or any value that a region of the op sees, depends on tokens.
  bool dependsOnTokens(mlir::Operation *op) const;

private:
  std::string visitSequences(mlir::Operation *op);
  std::string visitView(GraphOpInterface op);
  std::string visitElementwise(mlir::Operation *op);
  std::string visitGraphOp(GraphOpInterface op);
  void setResults(mlir::Operation *op, TokenRows found);

  bool joins = false;
  /// Values that depend on tokens.
  llvm::DenseMap<mlir::Value, TokenRows> rows;
};

} // namespace peer

#endif // PEER_PASSES_ANALYSIS_TOKENFLOW_H
