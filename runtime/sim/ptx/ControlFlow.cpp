// The order of basic blocks by which diverged lanes are scheduled.
//
// The lanes furthest back run first. "Back" is this order: a topological one in which the blocks of a loop are contiguous, whatever order
// the text has. Lanes that leave a loop by a break therefore wait until all have left it, and lanes that wait at the end of an `if`
// are joined by those that take the other way, because every block between the branch and its immediate post-dominator ranks before it.

#include "Decode.h"

#include <algorithm>

namespace peer::runtime::sim {

namespace {
struct Graph {
  std::vector<std::vector<uint32_t>> successors;
};

/// Orders a set of blocks, loops within loops by recursion.
class Ranker {
public:
  explicit Ranker(const Graph &graph) : graph(graph), region(graph.successors.size(), 0) {}

  std::vector<uint32_t> run() {
    std::vector<uint32_t> all(graph.successors.size());
    for (uint32_t i = 0; i < all.size(); ++i)
      all[i] = i;
    order(all, kNone);
    return std::move(ordered);
  }

private:
  static constexpr uint32_t kNone = ~0u;

  /// `header`: edges to it do not count, they close the loop that `blocks` are.
  void order(const std::vector<uint32_t> &blocks, uint32_t header) {
    uint32_t here = ++regions;
    for (uint32_t block : blocks)
      region[block] = here;
    std::vector<std::vector<uint32_t>> components = stronglyConnected(blocks, here, header);
    // Tarjan's algorithm finds the last ones first.
    for (auto component = components.rbegin(); component != components.rend(); ++component) {
      uint32_t first = component->front();
      const auto &next = graph.successors[first];
      bool loop =
          component->size() > 1 || (first != header && std::find(next.begin(), next.end(), first) != next.end());
      if (!loop || component->size() == 1)
        ordered.push_back(first);
      else
        order(*component, entryOf(*component, blocks));
    }
  }

  /// The block by which a loop is entered; the first in the text where there are several or none.
  uint32_t entryOf(const std::vector<uint32_t> &loop, const std::vector<uint32_t> &outside) const {
    uint32_t best = kNone;
    for (uint32_t from : outside)
      if (std::find(loop.begin(), loop.end(), from) == loop.end())
        for (uint32_t to : graph.successors[from])
          if (std::find(loop.begin(), loop.end(), to) != loop.end())
            best = std::min(best, to);
    return best == kNone ? *std::min_element(loop.begin(), loop.end()) : best;
  }

  /// Tarjan's algorithm with a stack of its own: unrolled kernels have long chains of blocks.
  std::vector<std::vector<uint32_t>> stronglyConnected(const std::vector<uint32_t> &blocks, uint32_t here,
                                                       uint32_t header) {
    struct Visit {
      uint32_t block;
      size_t next;
    };
    std::vector<uint32_t> number(graph.successors.size(), 0), low(number), stack;
    std::vector<bool> onStack(graph.successors.size(), false);
    std::vector<std::vector<uint32_t>> components;
    uint32_t counter = 0;
    for (uint32_t root : blocks) {
      if (number[root])
        continue;
      std::vector<Visit> visits{{root, 0}};
      while (!visits.empty()) {
        Visit &visit = visits.back();
        uint32_t block = visit.block;
        if (visit.next == 0 && !number[block]) {
          number[block] = low[block] = ++counter;
          stack.push_back(block);
          onStack[block] = true;
        }
        if (visit.next < graph.successors[block].size()) {
          uint32_t to = graph.successors[block][visit.next++];
          if (region[to] != here || to == header)
            continue;
          if (!number[to])
            visits.push_back({to, 0});
          else if (onStack[to])
            low[block] = std::min(low[block], number[to]);
          continue;
        }
        if (low[block] == number[block]) {
          auto &component = components.emplace_back();
          uint32_t member;
          do {
            member = stack.back();
            stack.pop_back();
            onStack[member] = false;
            component.push_back(member);
          } while (member != block);
        }
        visits.pop_back();
        if (!visits.empty())
          low[visits.back().block] = std::min(low[visits.back().block], low[block]);
      }
    }
    return components;
  }

  const Graph &graph;
  /// The innermost set of blocks under consideration that each block is in.
  std::vector<uint32_t> region;
  uint32_t regions = 0;
  std::vector<uint32_t> ordered;
};

bool guarded(const Program &program, const Inst &inst) {
  for (const Program::Constant &constant : program.constants)
    if (constant.width == 0 && constant.slot == inst.guard && constant.bits == kAllLanes)
      return inst.guardNegated;
  return true;
}
} // namespace

void rankBlocks(Program &program) {
  std::vector<Inst> &code = program.code;
  code[0].leader = true;
  for (size_t i = 0; i < code.size(); ++i) {
    if (code[i].control == Control::None)
      continue;
    if (i + 1 < code.size())
      code[i + 1].leader = true;
    if (code[i].control == Control::Branch)
      code[code[i].target].leader = true;
    for (unsigned t = 0; code[i].control == Control::BranchIndexed && t < code[i].count; ++t)
      code[program.lists[code[i].list + t]].leader = true;
  }
  std::vector<uint32_t> blockOf(code.size());
  uint32_t blocks = 0;
  for (size_t i = 0; i < code.size(); ++i)
    blockOf[i] = code[i].leader ? blocks++ : blocks - 1;

  Graph graph;
  graph.successors.resize(blocks);
  for (size_t i = 0; i < code.size(); ++i) {
    const Inst &inst = code[i];
    bool last = i + 1 == code.size() || code[i + 1].leader;
    if (!last)
      continue;
    auto &next = graph.successors[blockOf[i]];
    bool leaves =
        inst.control == Control::Branch || inst.control == Control::BranchIndexed || inst.control == Control::Exit;
    if (i + 1 < code.size() && (!leaves || guarded(program, inst)))
      next.push_back(blockOf[i + 1]);
    if (inst.control == Control::Branch)
      next.push_back(blockOf[inst.target]);
    for (unsigned t = 0; inst.control == Control::BranchIndexed && t < inst.count; ++t)
      next.push_back(blockOf[program.lists[inst.list + t]]);
  }
  std::vector<uint32_t> ranks(blocks);
  std::vector<uint32_t> ordered = Ranker(graph).run();
  for (uint32_t rank = 0; rank < ordered.size(); ++rank)
    ranks[ordered[rank]] = rank;
  for (size_t i = 0; i < code.size(); ++i)
    code[i].rank = ranks[blockOf[i]];
}

} // namespace peer::runtime::sim
