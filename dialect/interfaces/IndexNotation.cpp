//===- IndexNotation.cpp - parser of the index notation ------------------===//

#include "dialect/interfaces/IndexNotation.h"

#include "llvm/ADT/SmallSet.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ErrorHandling.h"

using namespace mlir;
using namespace peer;

static llvm::Error notationError(const Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
}

/// Parses one dimension, `.`, `t` or `t*128`, and finds or adds its loop. Only
/// inputs add loops: an output has no size to read a trip count off.
static llvm::Expected<IndexDim> parseDim(StringRef text, IndexNotation &notation, std::optional<unsigned> input,
                                         unsigned dim) {
  if (text == ".")
    return IndexDim{};
  auto [letter, scaleText] = text.split('*');
  if (letter.size() != 1 || !llvm::isAlpha(letter[0]))
    return notationError("a dimension is '.', a letter or letter*scale, got '" + text + "'");
  int64_t scale = 1;
  if (text.contains('*') && (scaleText.getAsInteger(10, scale) || scale < 1))
    return notationError("a scale is a positive integer, got '" + text + "'");
  auto *loop = llvm::find_if(notation.loops, [&](const IndexLoop &l) { return l.name == letter[0]; });
  if (loop == notation.loops.end()) {
    if (!input)
      return notationError("no input names loop '" + letter + "' of an output");
    notation.loops.push_back({letter[0], llvm::isLower(letter[0]), *input, dim, scale});
    loop = std::prev(notation.loops.end());
  }
  return IndexDim{int(loop - notation.loops.begin()), scale};
}

/// Parses the comma-separated operands of one side of the arrow.
static llvm::Error parseSide(StringRef side, bool areInputs, IndexNotation &notation,
                             SmallVectorImpl<IndexDims> &operands) {
  SmallVector<StringRef> entries;
  side.split(entries, ',');
  for (auto [number, entry] : llvm::enumerate(entries)) {
    SmallVector<StringRef> dims;
    entry.split(dims, ' ', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
    IndexDims &parsed = operands.emplace_back();
    for (auto [position, text] : llvm::enumerate(dims)) {
      auto dim = parseDim(text, notation, areInputs ? std::optional<unsigned>(number) : std::nullopt, position);
      if (!dim)
        return dim.takeError();
      parsed.push_back(*dim);
    }
  }
  return llvm::Error::success();
}

llvm::Expected<IndexNotation> IndexNotation::parse(StringRef text) {
  IndexNotation notation;
  if (text.trim().empty())
    return notation;
  if (text.count("->") != 1)
    return notationError("expected inputs '->' outputs");
  auto [inputs, outputs] = text.split("->");
  if (llvm::Error error = parseSide(inputs, /*areInputs=*/true, notation, notation.inputs))
    return std::move(error);
  if (llvm::Error error = parseSide(outputs, /*areInputs=*/false, notation, notation.outputs))
    return std::move(error);
  return notation;
}

/// Dimensions that are all taken whole.
static IndexDims wholeDims(Type type) { return IndexDims(cast<ShapedType>(type).getRank()); }

IndexNotation IndexNotation::of(GraphOpInterface op) {
  auto fail = [&](const Twine &why) {
    llvm::report_fatal_error("index notation of " + op->getName().getStringRef() + ": " + why);
  };
  std::string text = op.getIndexNotation();
  llvm::Expected<IndexNotation> parsed = parse(text);
  if (!parsed)
    fail(llvm::toString(parsed.takeError()));
  IndexNotation notation = std::move(*parsed);
  OperandRange inputs = op->getOperands().take_front(getNumInputs(op));
  if (text.empty()) {
    for (Value input : inputs)
      notation.inputs.push_back(wholeDims(input.getType()));
    for (Value result : op->getResults())
      notation.outputs.push_back(wholeDims(result.getType()));
    return notation;
  }
  if (notation.inputs.size() != inputs.size())
    fail("as many entries as inputs are wanted, " + Twine(inputs.size()) + ", got '" + text + "'");
  for (auto [dims, input] : llvm::zip(notation.inputs, inputs))
    if (int64_t(dims.size()) != cast<ShapedType>(input.getType()).getRank())
      fail("entries must have the inputs' ranks, got '" + text + "'");
  // In buffer form there are no results to compare with.
  if (op->getNumResults() == 0)
    return notation;
  if (notation.outputs.size() != op->getNumResults())
    fail("as many entries as results are wanted, " + Twine(op->getNumResults()) + ", got '" + text + "'");
  for (auto [dims, result] : llvm::zip(notation.outputs, op->getResults()))
    if (int64_t(dims.size()) != cast<ShapedType>(result.getType()).getRank())
      fail("entries must have the results' ranks, got '" + text + "'");
  return notation;
}

SmallVector<unsigned> IndexNotation::tileableLoops() const {
  SmallVector<unsigned> positions;
  for (auto [position, loop] : llvm::enumerate(loops))
    if (loop.tileable)
      positions.push_back(position);
  return positions;
}

bool IndexNotation::isWhole(const IndexDim &dim, int64_t staticSize) const {
  if (dim.loop < 0 || !loops[dim.loop].tileable)
    return true;
  return dim.scale == 1 && staticSize == 1;
}

unsigned peer::getNumInputs(GraphOpInterface op) { return op->getNumOperands() - op.getOutsMutable().size(); }

unsigned peer::getNumOutputs(GraphOpInterface op) {
  if (unsigned results = op->getNumResults())
    return results;
  std::string text = op.getIndexNotation();
  if (!text.empty())
    return IndexNotation::of(op).outputs.size();
  // Buffer form without a notation: outputs are the outs, and tied inputs until
  // the answers run out of inputs or repeat themselves.
  unsigned numInputs = getNumInputs(op), outsLeft = op.getOutsMutable().size();
  llvm::SmallSet<unsigned, 4> seen;
  for (unsigned output = 0;; ++output) {
    std::optional<unsigned> tied = op.getTiedInput(output);
    if (tied && (*tied >= numInputs || !seen.insert(*tied).second))
      return output;
    if (!tied && outsLeft-- == 0)
      return output;
  }
}
