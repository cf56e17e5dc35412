//===- DropBlocks.cpp - fewer blocks ---------------------------------------===//

#include "Conversions.h"
#include "ParameterNames.h"
#include "Plan.h"
#include "RepeatRuns.h"

#include "passes/Entries.h"

#include <map>

using namespace mlir;
using namespace peer;

namespace peer {
#define GEN_PASS_DEF_DROPBLOCKS
#include "passes/conversion/Conversions.h.inc"
} // namespace peer

namespace {

/// A block by its full name: what stands at its places is there with all its parameters.
struct Block {
  std::string family; // the full name without its number
  int64_t number = 0;
  llvm::SetVector<Operation *> places;
  bool isDropped = false;
  int64_t newNumber = 0;

  std::string name() const { return joinNames(family, std::to_string(number)); }
  std::string newName() const { return joinNames(family, std::to_string(newNumber)); }
};

struct DropBlocksPass : peer::impl::DropBlocksBase<DropBlocksPass> {
  using DropBlocksBase::DropBlocksBase;
  void runOnOperation() override;

private:
  LogicalResult run();
  LogicalResult findBlocks(const ParameterNames &names);
  FailureOr<bool> isWhole(const Block &block, const ParameterNames &names);
  LogicalResult choose();
  void number(const ParameterNames &names);
  void rewrite(peer::CallOp call, StringRef outer);
  void rewrite(RepeatOp repeat, StringRef outer);
  /// Where values pass by that others want to see: an op of no effect with the name.
  Value marked(OpBuilder &builder, Value value, StringRef name);
  LogicalResult writePlan(const ParameterNames &names);
  Block *find(StringRef name);

  std::map<std::pair<std::string, int64_t>, Block> blocks; // by families and numbers
};

/// A name that ends with a number, and what is before it.
std::optional<std::pair<StringRef, int64_t>> splitNumber(StringRef name) {
  auto [family, last] = name.contains('.') ? name.rsplit('.') : std::pair(StringRef(), name);
  int64_t number;
  if (last.getAsInteger(10, number) || number < 0 || std::to_string(number) != last)
    return std::nullopt;
  return std::pair(family, number);
}

bool isBelow(StringRef parameter, StringRef block) { return isInLayers(parameter, {block.str()}); }

Block *DropBlocksPass::find(StringRef name) {
  auto split = splitNumber(name);
  auto found = split ? blocks.find({split->first.str(), split->second}) : blocks.end();
  return found == blocks.end() ? nullptr : &found->second;
}

/// Parameters that are reached at the places of a block, and nowhere else.
FailureOr<bool> DropBlocksPass::isWhole(const Block &block, const ParameterNames &names) {
  llvm::DenseSet<ParamOp> reached;
  SymbolTable symbols(getOperation());
  for (Operation *place : block.places) {
    auto callee = symbols.lookup<func::FuncOp>(calleeOf(place).getValue());
    FailureOr<ParameterNames> inner = ParameterNames::find(callee, block.name(), symbols);
    if (failed(inner))
      return failure();
    for (StringRef name : inner->all())
      reached.insert(inner->uses(name).begin(), inner->uses(name).end());
  }
  return llvm::all_of(names.all(), [&](StringRef name) {
    return !isBelow(name, block.name()) ||
           llvm::all_of(names.uses(name), [&](ParamOp use) { return reached.contains(use); });
  });
}

LogicalResult DropBlocksPass::findBlocks(const ParameterNames &names) {
  auto add = [&](Operation &op, const std::string &name) {
    if (auto split = splitNumber(name)) {
      Block &block = blocks[{split->first.str(), split->second}];
      block.family = split->first.str();
      block.number = block.newNumber = split->second;
      block.places.insert(&op);
    }
  };
  for (func::FuncOp function : getOperation().getOps<func::FuncOp>()) {
    // Of what is itself used at several places the places are blocks, not their parts.
    if (names.prefixesOf(function).size() != 1)
      continue;
    StringRef outer = names.prefixesOf(function).front();
    for (Operation &op : function.getOps())
      if (auto repeat = dyn_cast<RepeatOp>(op)) {
        std::string family = joinNames(outer, repeat.getPrefix());
        for (int64_t i = 0; i < int64_t(repeat.getCount()); ++i)
          add(op, joinNames(family, std::to_string(int64_t(repeat.getFrom()) + i)));
      } else if (auto call = dyn_cast<peer::CallOp>(op); call && splitNumber(call.getPrefix())) {
        if (call.getOperandTypes() == call.getResultTypes())
          add(op, joinNames(outer, call.getPrefix()));
      }
  }
  SmallVector<std::string> chosen(layers.begin(), layers.end());
  for (auto it = blocks.begin(); it != blocks.end();) {
    FailureOr<bool> whole = isWhole(it->second, names);
    if (failed(whole))
      return failure();
    it = *whole && isInLayers(it->second.name(), chosen) ? std::next(it) : blocks.erase(it);
  }
  if (blocks.empty())
    return emitError(locationOf(getOperation()))
           << "the model has no block " << (layers.empty() ? "" : "of these names ")
           << "that could be left out: expected peer.repeat, or peer.call of a block whose name ends with a number, "
              "which returns what it takes";
  return success();
}

LogicalResult DropBlocksPass::choose() {
  for (const std::string &name : drop) {
    Block *block = find(name);
    if (!block) {
      std::string known;
      for (const auto &[ignored, other] : blocks)
        known += (known.empty() ? "" : ", ") + other.name();
      return emitError(locationOf(getOperation())) << "there is no block '" << name << "' to drop: expected " << known;
    }
    block->isDropped = true;
  }
  return success();
}

/// Blocks that are left count on without gaps, where all that have a number of the family are blocks that can be named anew.
void DropBlocksPass::number(const ParameterNames &names) {
  std::map<std::string, std::map<int64_t, Block *>> families;
  for (auto &[ignored, block] : blocks)
    families[block.family][block.number] = &block;
  for (auto &[family, members] : families) {
    bool canCount = llvm::all_of(names.all(), [&](StringRef name) {
      StringRef rest = name;
      if (!family.empty() && (!rest.consume_front(family) || !rest.consume_front(".")))
        return true;
      auto split = splitNumber(rest.split('.').first);
      return !split || members.contains(split->second);
    });
    int64_t next = members.begin()->first;
    for (auto &[number, block] : members)
      if (canCount && !block->isDropped)
        block->newNumber = next++;
  }
}

Value DropBlocksPass::marked(OpBuilder &builder, Value value, StringRef name) {
  auto mark = ReshapeOp::create(builder, value.getLoc(), value, cast<RankedTensorType>(value.getType()), ValueRange());
  mark->setAttr("seen", builder.getStringAttr(name));
  return mark.getY();
}

void DropBlocksPass::rewrite(peer::CallOp call, StringRef outer) {
  Block *block = find(joinNames(outer, call.getPrefix()));
  if (!block || !block->places.contains(call))
    return;
  if (block->isDropped) {
    call->replaceAllUsesWith(call.getInputs());
    call->erase();
    return;
  }
  StringRef family = splitNumber(call.getPrefix())->first;
  call.setPrefix(joinNames(family, std::to_string(block->newNumber)));
  if (!marks)
    return;
  OpBuilder builder(call);
  call->setOperand(0, marked(builder, call->getOperand(0), block->name() + ".in"));
  builder.setInsertionPointAfter(call);
  Value seen = marked(builder, call->getResult(0), block->name() + ".out");
  call->getResult(0).replaceAllUsesExcept(seen, seen.getDefiningOp());
}

void DropBlocksPass::rewrite(RepeatOp repeat, StringRef outer) {
  std::string family = joinNames(outer, repeat.getPrefix());
  RepeatRuns runs(repeat);
  auto mark = [&](const Block &block, StringRef where) {
    runs.values[0] = marked(runs.builder, runs.values[0], (block.name() + where).str());
    runs.cut();
  };
  for (int64_t i = 0; i < int64_t(repeat.getCount()); ++i) {
    int64_t number = int64_t(repeat.getFrom()) + i;
    Block *block = find(joinNames(family, std::to_string(number)));
    if (!block || !block->places.contains(repeat)) {
      runs.append(number, repeat.getCallee());
    } else if (!block->isDropped) {
      if (marks)
        mark(*block, ".in");
      runs.append(block->newNumber, repeat.getCallee());
      if (marks)
        mark(*block, ".out");
    }
  }
  runs.finish();
}

LogicalResult DropBlocksPass::writePlan(const ParameterNames &names) {
  Plan weights("drop-blocks");
  for (auto &[ignored, block] : blocks) {
    std::string name = block.name();
    llvm::json::Object layer;
    layer["name"] = name;
    layer["dropped"] = block.isDropped;
    if (!block.isDropped)
      layer["becomes"] = block.newName();
    weights.addLayer(std::move(layer));
    if (block.isDropped || block.newNumber == block.number)
      continue;
    for (StringRef parameter : names.all())
      if (isBelow(parameter, name))
        if (failed(weights.set(block.newName() + parameter.drop_front(name.size()).str(), weights::tensor(parameter),
                               (*block.places.begin())->getLoc())))
          return failure();
  }
  return weights.write(plan, getOperation().getLoc());
}

LogicalResult DropBlocksPass::run() {
  ModuleOp module = getOperation();
  FailureOr<ParameterNames> names = ParameterNames::find(module);
  if (failed(names) || failed(findBlocks(*names)) || failed(choose()))
    return failure();
  number(*names);
  if (failed(writePlan(*names)))
    return failure();
  llvm::SmallPtrSet<Operation *, 4> unused; // as the user wrote it
  for (func::FuncOp function : module.getOps<func::FuncOp>())
    if (function.isPrivate() && SymbolTable::symbolKnownUseEmpty(function, module))
      unused.insert(function);
  for (func::FuncOp function : module.getOps<func::FuncOp>())
    if (names->prefixesOf(function).size() == 1)
      for (Operation &op : llvm::make_early_inc_range(function.getOps())) {
        StringRef outer = names->prefixesOf(function).front();
        if (auto repeat = dyn_cast<RepeatOp>(op))
          rewrite(repeat, outer);
        else if (auto call = dyn_cast<peer::CallOp>(op))
          rewrite(call, outer);
      }
  eraseUnused(module, [&](func::FuncOp function) { return !unused.contains(function); });
  return success();
}

void DropBlocksPass::runOnOperation() {
  if (failed(run()))
    signalPassFailure();
}

} // namespace
