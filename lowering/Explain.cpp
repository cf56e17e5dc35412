//===- Explain.cpp - which emitter takes an op, and why not a faster one -===//

#include "Explain.h"

#include "blocks/Blocks.h"
#include "dialect/PeerOps.h"
#include "passes/Remarks.h"
#include "passes/Tile.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

#include <mutex>

using namespace mlir;
namespace json = llvm::json;

namespace peer {

/// FILE:LINE:COLUMN of the description; of what several places made, the first.
static std::string placeOf(Location loc) {
  std::string place;
  loc->walk([&](Location part) {
    auto file = dyn_cast<FileLineColLoc>(part);
    if (!file)
      return WalkResult::advance();
    place = llvm::formatv("{0}:{1}:{2}", llvm::sys::path::filename(file.getFilename().getValue()), file.getLine(),
                          file.getColumn());
    return WalkResult::interrupt();
  });
  return place;
}

template <typename T>
static void addOnce(std::vector<T> &list, T value) {
  if (!llvm::is_contained(list, value))
    list.push_back(std::move(value));
}

/// Writes down remarks as they come, from any thread.
class RemarkCollector : public remark::detail::MLIRRemarkStreamerBase {
public:
  explicit RemarkCollector(Explanation &explanation) : explanation(explanation) {}

  void streamOptimizationRemark(const remark::detail::Remark &remark) override {
    std::string name, into, reason, place = placeOf(remark.getLocation());
    for (const auto &arg : remark.getArgs())
      (arg.key == remarks::kOp ? name : arg.key == remarks::kInto ? into : reason) = arg.val;
    std::lock_guard lock(mutex);
    if (remark.getRemarkType() == llvm::remarks::Type::Analysis) {
      explanation.takenApart[remark.getFunction().str()].push_back({name, place, into, reason});
      return;
    }
    std::vector<Explanation::Op> &ops = explanation.ops[remark.getFunction().str()];
    auto same = llvm::find_if(ops, [&](const Explanation::Op &op) { return op.name == name && op.place == place; });
    Explanation::Op &op = same == ops.end() ? ops.emplace_back(Explanation::Op{name, place, {}, {}, {}}) : *same;
    std::pair<std::string, std::string> why(remark.getRemarkName().str(), reason);
    if (remark.getRemarkType() != llvm::remarks::Type::Passed)
      return addOnce(op.passedOver, std::move(why));
    addOnce(op.emitters, why.first);
    if (!reason.empty())
      addOnce(op.chosen, std::move(why));
  }

private:
  Explanation &explanation;
  std::mutex mutex;
};

LogicalResult Explanation::listen(MLIRContext &context) {
  remark::RemarkCategories categories;
  categories.passed = categories.missed = categories.analysis = remarks::kCategory.str();
  return remark::enableOptimizationRemarks(context, std::make_unique<RemarkCollector>(*this),
                                           std::make_unique<remark::RemarkEmittingPolicyAll>(), categories);
}

/// In the order of the text; remarks come in any.
void Explanation::noteOps(func::FuncOp function) {
  auto [found, isNew] = ops.try_emplace(function.getName().str());
  if (isNew)
    function.walk([&, &list = found->second](GraphOpInterface op) {
      list.push_back({op->getName().getStringRef().str(), placeOf(op->getLoc()), {}, {}, {}});
    });
}

/// Told once: with the kernel of the first part.
void Explanation::noteTakenApart(Kernel &kernel, StringRef entry, StringRef function) {
  auto found = takenApart.find(entry);
  if (found == takenApart.end())
    return;
  for (const TakenApart &whole : found->second)
    for (const Op &op : opsOf(function))
      if (op.place == whole.place && op.name == StringRef(whole.into).split(',').first)
        addOnce(kernel.takenApart, whole);
}

/// The kernels that an entry, or a block that it calls, calls.
void Explanation::noteKernels(Entry &entry, ModuleOp module, const EntrySignature &signature, func::FuncOp caller) {
  for (Operation &op : caller.front()) {
    if (auto mark = dyn_cast<MarkOp>(op)) {
      Kernel kernel{mark.getKernel().str(), placeOf(mark.getLoc()), {}, {}, {}, {}};
      llvm::copy(mark.getBytes(), kernel.bytes);
      llvm::copy(mark.getFlops(), kernel.flops);
      if (auto tiles = mark->getAttrOfType<DictionaryAttr>(attrs::kTiles))
        for (NamedAttribute tile : tiles)
          kernel.tiles.emplace_back(tile.getName().str(), cast<IntegerAttr>(tile.getValue()).getInt());
      entry.kernels.push_back(std::move(kernel));
      continue;
    }
    auto call = dyn_cast<func::CallOp>(op);
    auto callee = call ? module.lookupSymbol<func::FuncOp>(call.getCallee()) : func::FuncOp();
    if (callee && isSharedBlock(callee)) {
      noteKernels(entry, module, signature, callee);
    } else if (callee && !entry.kernels.empty()) {
      addOnce(entry.kernels.back().functions, call.getCallee().str());
      noteOps(callee);
      // Before tiling an entry's function has the entry's name.
      for (StringRef where : {StringRef(signature.name), StringRef(signature.function), caller.getName()})
        noteTakenApart(entry.kernels.back(), where, call.getCallee());
    }
  }
}

void Explanation::noteKernels(ModuleOp module, ArrayRef<EntrySignature> signatures) {
  for (const EntrySignature &signature : signatures) {
    auto function = module.lookupSymbol<func::FuncOp>(signature.function);
    Entry entry{signature.name, {}};
    noteKernels(entry, module, signature, function);
    llvm::erase_if(entry.kernels, [](const Kernel &kernel) { return kernel.functions.empty(); });
    // Equal kernels, those of repeated blocks, are told once.
    std::vector<Kernel> distinct;
    for (Kernel &kernel : entry.kernels) {
      auto same = llvm::find_if(distinct, [&](const Kernel &other) {
        return other.name == kernel.name && other.functions == kernel.functions && other.tiles == kernel.tiles;
      });
      if (same == distinct.end())
        distinct.push_back(std::move(kernel));
      else
        ++same->calls;
    }
    entry.kernels = std::move(distinct);
    entries.push_back(std::move(entry));
  }
}

const std::vector<Explanation::Op> &Explanation::opsOf(StringRef function) const {
  static const std::vector<Op> none;
  auto found = ops.find(function);
  return found == ops.end() ? none : found->second;
}

/// kernel_mix_7 is launched as mix_7, mix_7_part1, ...
std::vector<KernelResources> Explanation::resourcesOf(StringRef function) const {
  StringRef stem = function;
  stem.consume_front("kernel_");
  std::vector<KernelResources> found;
  for (const KernelResources &kernel : resources) {
    StringRef rest = kernel.name;
    if (rest.consume_front(stem) && (rest.empty() || rest.starts_with("_part")))
      found.push_back(kernel);
  }
  auto part = [](const KernelResources &kernel) { return std::pair(kernel.name.size(), kernel.name); };
  llvm::sort(found, [&](const auto &a, const auto &b) { return part(a) < part(b); });
  return found;
}

/// `64 MB`, `2.1 KB`, with at most three digits.
static std::string amount(double value, StringRef unit) {
  static constexpr StringLiteral kPrefixes[] = {"", "K", "M", "G", "T"};
  unsigned prefix = 0;
  for (; value >= 1000 && prefix + 1 < std::size(kPrefixes); ++prefix)
    value /= 1000;
  return llvm::formatv(value < 10 && prefix ? "{0:f1} {1}{2}" : "{0:f0} {1}{2}", value, kPrefixes[prefix], unit);
}

static std::string work(const int64_t (&terms)[2], StringRef unit) {
  std::string text = terms[0] || !terms[1] ? amount(double(terms[0]), unit) : "";
  if (terms[1])
    text += (text.empty() ? "" : " + ") + amount(double(terms[1]), unit) + "/token";
  return text;
}

static std::string describe(const KernelResources &kernel) {
  std::string text = llvm::formatv("{0}: {1} registers", kernel.name, kernel.registers);
  // The declaration of memory whose size comes with the launch takes a byte.
  if (kernel.shared == 1)
    text += ", shared memory by the launch";
  else if (kernel.shared)
    text += llvm::formatv(", {0} B of shared memory", kernel.shared).str();
  if (kernel.local)
    text += llvm::formatv(", {0} B of local memory", kernel.local).str();
  return text;
}

/// Who lowers an op, why where there was a choice, and why no faster emitter does.
static void print(raw_ostream &out, const Explanation::Op &op) {
  out << "    " << op.name << ": " << llvm::join(op.emitters, ", then ") << "\n";
  for (const auto &[emitter, reason] : op.chosen)
    out << "      " << reason << "\n";
  for (const auto &[emitter, reason] : op.passedOver)
    out << "      not " << emitter << ": " << reason << "\n";
  if (op.passedOver.empty() && !op.emitters.empty() && op.emitters.back() == remarks::kPlainLoops)
    out << "      there is no faster emitter for it\n";
}

std::string Explanation::text(StringRef model, const Target &target) const {
  std::string result;
  llvm::raw_string_ostream out(result);
  out << model << " for " << target.name() << "\n";
  for (const Entry &entry : entries) {
    out << "\n" << entry.name << "\n";
    if (entry.kernels.empty())
      out << "  no kernels\n";
    for (const Kernel &kernel : entry.kernels) {
      out << "  " << kernel.name;
      if (kernel.calls > 1)
        out << ", " << kernel.calls << " times";
      out << "  (" << kernel.place << ")\n    tiles: ";
      if (kernel.tiles.empty())
        out << "none, the emitter makes its own loops";
      else
        llvm::interleave(kernel.tiles, out, [&](const auto &tile) { out << tile.first << " = " << tile.second; }, ", ");
      out << "; " << work(kernel.bytes, "B") << ", " << work(kernel.flops, "FLOP") << "\n";
      for (const std::string &function : kernel.functions) {
        for (const Op &op : opsOf(function))
          print(out, op);
        for (const KernelResources &measured : resourcesOf(function))
          out << "    " << describe(measured) << "\n";
      }
      for (const TakenApart &whole : kernel.takenApart)
        out << "    " << whole.name << " was taken apart into " << whole.into << ": " << whole.reason << "\n";
    }
  }
  return result;
}

static json::Array toJSON(ArrayRef<std::pair<std::string, std::string>> reasons) {
  json::Array list;
  for (const auto &[emitter, reason] : reasons)
    list.push_back(json::Object{{"emitter", emitter}, {"reason", reason}});
  return list;
}

static json::Object toJSON(const Explanation::Op &op) {
  return json::Object{{"op", op.name},
                      {"place", json::fixUTF8(op.place)},
                      {"emitters", json::Array(op.emitters)},
                      {"chosen", toJSON(op.chosen)},
                      {"passed_over", toJSON(op.passedOver)}};
}

std::string Explanation::json(StringRef model, const Target &target) const {
  json::Array all;
  for (const Entry &entry : entries) {
    json::Array kernels;
    for (const Kernel &kernel : entry.kernels) {
      json::Object tiles;
      for (const auto &[loop, size] : kernel.tiles)
        tiles[loop] = size;
      json::Array ops, launches, takenApart;
      for (const TakenApart &whole : kernel.takenApart)
        takenApart.push_back(json::Object{{"op", whole.name},
                                          {"place", json::fixUTF8(whole.place)},
                                          {"into", json::Array(llvm::to_vector(llvm::split(whole.into, ", ")))},
                                          {"reason", whole.reason}});
      for (const std::string &function : kernel.functions) {
        for (const Op &op : opsOf(function))
          ops.push_back(toJSON(op));
        for (const KernelResources &launch : resourcesOf(function))
          launches.push_back(json::Object{{"name", launch.name},
                                          {"registers", launch.registers},
                                          {"shared_bytes", launch.shared},
                                          {"local_bytes", launch.local}});
      }
      kernels.push_back(json::Object{{"kernel", kernel.name},
                                     {"place", json::fixUTF8(kernel.place)},
                                     {"calls", kernel.calls},
                                     {"tiles", std::move(tiles)},
                                     {"bytes", json::Array(kernel.bytes)},
                                     {"flops", json::Array(kernel.flops)},
                                     {"ops", std::move(ops)},
                                     {"taken_apart", std::move(takenApart)},
                                     {"launches", std::move(launches)}});
    }
    all.push_back(json::Object{{"name", entry.name}, {"kernels", std::move(kernels)}});
  }
  json::Object root{{"model", json::fixUTF8(model)}, {"target", target.describe()}, {"entries", std::move(all)}};
  return llvm::formatv("{0:2}\n", json::Value(std::move(root)));
}

} // namespace peer
