//===- RepeatedOps.cpp - what a straight line of ops repeats -------------===//

#include "RepeatedOps.h"

#include "dialect/PeerOps.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/OperationSupport.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace peer;

/// The longest block that is looked for, in ops: what it takes to look grows with it.
static constexpr unsigned kLongest = 4096;

static bool isSize(Type type) { return type.isIntOrIndex(); }

bool peer::isCopied(Operation *op) {
  if (op->getNumResults() == 0 || op->getNumRegions() != 0 || !isPure(op))
    return false;
  return op->hasTrait<OpTrait::ConstantLike>() || llvm::all_of(op->getResultTypes(), isSize) ||
         isa<tensor::EmptyOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::ExtractSliceOp, tensor::CastOp>(
             op);
}

/// Calls `visit` for each operand of `op` and of what its regions hold that comes from outside.
static void visitCaptured(Operation *op, llvm::function_ref<void(Value)> visit) {
  op->walk<WalkOrder::PreOrder>([&](Operation *nested) {
    for (Value operand : nested->getOperands())
      if (!op->isAncestor(operand.getParentBlock()->getParentOp()))
        visit(operand);
  });
}

SmallVector<Value> peer::capturedBy(Operation *op) {
  llvm::SetVector<Value> captured;
  visitCaptured(op, [&](Value value) { captured.insert(value); });
  return captured.takeVector();
}

namespace {
/// Follows the values that a sequence reads to where they come from.
class Reads {
public:
  Reads(ArrayRef<Operation *> sequence, SequenceVisitor visitor)
      : visitor(visitor), inside(sequence.begin(), sequence.end()) {}
  void visit(Value value);

private:
  /// Whether a value depends on what an op of the sequence computes.
  bool isFromInside(Value value);

  SequenceVisitor visitor;
  llvm::SmallPtrSet<Operation *, 32> inside;
  llvm::DenseSet<Value> visited;
  llvm::DenseMap<Value, bool> fromInside;
};
} // namespace

bool Reads::isFromInside(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || inside.contains(op) || !isCopied(op))
    return op && inside.contains(op);
  auto [found, isNew] = fromInside.try_emplace(value, false);
  if (!isNew)
    return found->second;
  bool result = llvm::any_of(op->getOperands(), [&](Value operand) { return isFromInside(operand); });
  return fromInside[value] = result;
}

void Reads::visit(Value value) {
  Operation *op = value.getDefiningOp();
  if ((op && inside.contains(op)) || visited.contains(value))
    return;
  // A size that is known outside is not computed again.
  bool isInput = !op || !isCopied(op) ||
                 (isSize(value.getType()) && !op->hasTrait<OpTrait::ConstantLike>() && !isFromInside(value));
  if (isInput) {
    visited.insert(value);
    return visitor.input(value);
  }
  for (Value operand : op->getOperands())
    visit(operand);
  for (Value result : op->getResults())
    visited.insert(result);
  visitor.copy(op);
}

void peer::visitReads(ArrayRef<Operation *> sequence, SequenceVisitor visitor,
                      llvm::function_ref<void(Operation *)> visitOp) {
  Reads reads(sequence, visitor);
  for (Operation *op : sequence) {
    visitCaptured(op, [&](Value value) { reads.visit(value); });
    visitOp(op);
  }
}

namespace {
/// One form of op for all that are equal but for the values they read.
struct Form {
  Operation *op;
  SmallVector<Value> captured;
  /// For each operand from outside, which of `captured` it is.
  SmallVector<unsigned> pattern;
};

/// The same ops again and again: `count` times `period` of them, and the beginning of one more.
struct Run {
  unsigned start = 0, length = 0, period = 0;
  unsigned saved() const { return period == 0 ? 0 : (length / period - 1) * period; }
};

/// Where a run is cut: at `first`, into `places` sequences, each of which is handed and hands back `values`.
struct Cut {
  unsigned first, places, values;
};

/// What makes two places one function: forms, which reads which, and what is read of it.
struct Description {
  SmallVector<uint64_t, 0> text;
  unsigned length = 0, inputs = 0;
  SmallVector<std::pair<unsigned, unsigned>> results;
};

/// Equal places, by their first ops.
struct Group {
  Description description;
  SmallVector<unsigned> places;
};

/// A block as a line of numbers: equal forms have equal ones.
class Line {
public:
  Line(Block &block, unsigned fewest, unsigned least);
  unsigned size() const { return ops.size(); }
  /// Finds what repeats between two ops.
  void find(unsigned from, unsigned to);
  std::vector<RepeatedOps> repeated() const;

private:
  unsigned numberOf(Operation *op);
  unsigned lastUseOf(Value value);
  Run longestRun(unsigned from, unsigned to) const;
  Description describe(unsigned from, unsigned to);
  SmallVector<Cut> cutsOf(const Run &run);
  /// Cuts a run into sequences of which most are equal.
  void split(const Run &run);

  unsigned fewest, least;
  std::vector<Group> found;
  OpSequence ops;
  llvm::DenseMap<Operation *, unsigned> positions;
  SmallVector<unsigned, 0> numbers;
  std::vector<Form> forms;
  llvm::DenseMap<unsigned, SmallVector<unsigned>> formsByHash;
  /// The last op of the line that reads a value or what is copied of it.
  llvm::DenseMap<Value, unsigned> lastUses;
};
} // namespace

/// All attributes but the number of a kernel, which tells places apart.
static DictionaryAttr comparedAttributes(Operation *op) {
  DictionaryAttr attributes = op->getAttrDictionary();
  auto mark = dyn_cast<MarkOp>(op);
  if (!mark)
    return attributes;
  NamedAttrList kept(attributes);
  kept.erase(mark.getIndexAttrName());
  return kept.getDictionary(op->getContext());
}

static unsigned hashOf(Operation *op) {
  llvm::hash_code hash = llvm::hash_value(op->getName().getAsOpaquePointer());
  op->walk([&](Operation *nested) {
    hash = llvm::hash_combine(hash, nested->getName().getAsOpaquePointer(), comparedAttributes(nested));
    for (Type type : nested->getResultTypes())
      hash = llvm::hash_combine(hash, type);
  });
  // Two values are not for keys of the map.
  return static_cast<unsigned>(hash) >> 1;
}

static bool areEqual(const Form &a, const Form &b) {
  if (a.pattern != b.pattern || a.captured.size() != b.captured.size())
    return false;
  if (isa<MarkOp>(a.op) && isa<MarkOp>(b.op))
    return comparedAttributes(a.op) == comparedAttributes(b.op);
  llvm::DenseMap<Value, Value> equal;
  for (auto [left, right] : llvm::zip_equal(a.captured, b.captured)) {
    if (left.getType() != right.getType())
      return false;
    equal[left] = right;
  }
  return OperationEquivalence::isEquivalentTo(
      a.op, b.op, [&](Value left, Value right) { return success(equal.lookup(left) == right); },
      [&](Value left, Value right) { equal[left] = right; }, OperationEquivalence::IgnoreLocations,
      [&](ValueRange left, ValueRange right) {
        return success(llvm::all_of_zip(left, right, [&](Value l, Value r) { return equal.lookup(l) == r; }));
      });
}

Line::Line(Block &block, unsigned fewest, unsigned least) : fewest(fewest), least(std::max(least, 1u)) {
  for (Operation &op : block)
    if (!isCopied(&op)) {
      positions[&op] = ops.size();
      ops.push_back(&op);
    }
  for (Operation *op : ops)
    numbers.push_back(numberOf(op));
}

unsigned Line::numberOf(Operation *op) {
  Form form{op, capturedBy(op), {}};
  llvm::DenseMap<Value, unsigned> index;
  for (auto [i, value] : llvm::enumerate(form.captured))
    index[value] = i;
  visitCaptured(op, [&](Value value) { form.pattern.push_back(index.lookup(value)); });
  SmallVector<unsigned> &candidates = formsByHash[hashOf(op)];
  for (unsigned candidate : candidates)
    if (areEqual(forms[candidate], form))
      return candidate;
  candidates.push_back(forms.size());
  forms.push_back(std::move(form));
  return candidates.back();
}

unsigned Line::lastUseOf(Value value) {
  if (auto known = lastUses.find(value); known != lastUses.end())
    return known->second;
  unsigned last = 0;
  for (Operation *user : value.getUsers()) {
    Operation *top = ops.front()->getBlock()->findAncestorOpInBlock(*user);
    if (auto position = positions.find(top); position != positions.end())
      last = std::max(last, position->second);
    else
      for (Value result : top->getResults())
        last = std::max(last, lastUseOf(result));
  }
  return lastUses[value] = last;
}

Run Line::longestRun(unsigned from, unsigned to) const {
  Run best;
  for (unsigned period = 1; period <= kLongest && 2 * period <= to - from; ++period) {
    unsigned equal = 0;
    for (unsigned i = from; i + period <= to; ++i) {
      if (i + period < to && numbers[i] == numbers[i + period]) {
        ++equal;
        continue;
      }
      Run run{i - equal, equal + period, period};
      if (equal >= period && run.saved() > best.saved())
        best = run;
      equal = 0;
    }
  }
  return best;
}

Description Line::describe(unsigned from, unsigned to) {
  enum : uint64_t { kOp, kInput, kCopy, kResult };
  Description description;
  description.length = to - from;
  auto &text = description.text;
  // Inputs and copies are numbered as they come; what is computed inside has its place in the sequence.
  llvm::DenseMap<Value, uint64_t> names;
  auto name = [&](Value value) { names.try_emplace(value, names.size()); };
  auto read = [&](ValueRange values) {
    for (Value value : values) {
      auto position = value.getDefiningOp() ? positions.find(value.getDefiningOp()) : positions.end();
      if (position != positions.end() && position->second >= from && position->second < to)
        text.push_back((uint64_t(position->second - from) << 32) + cast<OpResult>(value).getResultNumber());
      else
        text.push_back(~names.lookup(value));
    }
  };
  auto input = [&](Value value) {
    name(value);
    text.append({kInput, uint64_t(value.getType().getAsOpaquePointer())});
    ++description.inputs;
  };
  auto copy = [&](Operation *op) {
    llvm::for_each(op->getResults(), name);
    text.append({kCopy, uint64_t(op->getName().getAsOpaquePointer()),
                 uint64_t(op->getAttrDictionary().getAsOpaquePointer()),
                 uint64_t(op->getResultTypes().front().getAsOpaquePointer())});
    read(op->getOperands());
  };
  ArrayRef<Operation *> sequence = ArrayRef(ops).slice(from, to - from);
  visitReads(sequence, {input, copy}, [&](Operation *op) {
    text.append({kOp, numbers[positions.lookup(op)]});
    read(capturedBy(op));
  });
  for (auto [i, op] : llvm::enumerate(sequence))
    for (OpResult result : op->getResults())
      if (lastUseOf(result) >= to) {
        description.results.push_back({i, result.getResultNumber()});
        text.append({kResult, i, result.getResultNumber()});
      }
  return description;
}

/// All cuts, those with most places first and of these those that hand over least.
SmallVector<Cut> Line::cutsOf(const Run &run) {
  SmallVector<Cut> cuts;
  // A function for one kernel would be a call more.
  if (llvm::count_if(ArrayRef(ops).slice(run.start, run.period), llvm::IsaPred<MarkOp>) < 2)
    return cuts;
  for (unsigned first = run.start; first < run.start + run.period; ++first) {
    // A kernel stays with its mark.
    if (!isa<MarkOp>(ops[first]))
      continue;
    unsigned places = (run.start + run.length - first) / run.period;
    unsigned middle = first + places / 2 * run.period;
    Description description = describe(middle, middle + run.period);
    cuts.push_back({first, places, description.inputs + unsigned(description.results.size())});
  }
  llvm::stable_sort(cuts, [](const Cut &a, const Cut &b) {
    return std::make_tuple(b.places, a.values) < std::make_tuple(a.places, b.values);
  });
  return cuts;
}

static Group &groupOf(std::vector<Group> &groups, Description description) {
  auto found = llvm::find_if(groups, [&](const Group &group) { return group.description.text == description.text; });
  if (found != groups.end())
    return *found;
  return groups.emplace_back(Group{std::move(description), {}});
}

void Line::split(const Run &run) {
  std::vector<Group> best;
  unsigned most = 0;
  for (const Cut &cut : cutsOf(run)) {
    if (cut.places <= most)
      break;
    std::vector<Group> groups;
    for (unsigned i = 0; i < cut.places; ++i) {
      unsigned at = cut.first + i * run.period;
      groupOf(groups, describe(at, at + run.period)).places.push_back(at);
    }
    llvm::erase_if(groups, [&](const Group &group) { return group.places.size() < fewest; });
    unsigned covered = 0;
    for (const Group &group : groups)
      covered += group.places.size();
    if (covered > most) {
      best = std::move(groups);
      most = covered;
    }
  }
  // Places of several runs, between which something else stands, may be equal, too.
  for (Group &group : best)
    llvm::append_range(groupOf(found, std::move(group.description)).places, group.places);
}

void Line::find(unsigned from, unsigned to) {
  Run run = longestRun(from, to);
  if (run.saved() < least)
    return;
  if (run.length / run.period >= fewest)
    split(run);
  find(from, run.start);
  find(run.start + run.length, to);
}

std::vector<RepeatedOps> Line::repeated() const {
  std::vector<RepeatedOps> result;
  for (const Group &group : found) {
    RepeatedOps &repeated = result.emplace_back();
    repeated.results = group.description.results;
    for (unsigned place : group.places)
      repeated.places.emplace_back(ArrayRef(ops).slice(place, group.description.length));
  }
  return result;
}

std::vector<RepeatedOps> peer::findRepeatedOps(Block &block, unsigned fewest, unsigned least) {
  Line line(block, fewest, least);
  line.find(0, line.size());
  return line.repeated();
}
