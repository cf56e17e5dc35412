// A kernel decoded for execution: functions inlined, registers and constants given places, every instruction bound to its code.
#pragma once

#include "Module.h"

#include <cstdint>
#include <string>
#include <vector>

namespace peer::runtime::sim {

class Warp;
struct Inst;

constexpr unsigned kLanes = 32;
/// One bit per lane.
using Mask = uint32_t;
constexpr Mask kAllLanes = ~Mask{0};

using Execute = void (*)(Warp &, const Inst &, Mask);

/// What an instruction does to the flow of a warp.
enum class Control : uint8_t { None, Branch, BranchIndexed, Exit, Trap, Barrier, WarpSync };

enum InstFlags : uint32_t {
  kFlush = 1 << 0,    // .ftz
  kSaturate = 1 << 1, // .sat
  kNegateA = 1 << 2,  // !%p as the first, second, third source
  kNegateB = 1 << 3,
  kNegateC = 1 << 4,
  kWide = 1 << 5,   // the address register has 64 bits
  kStrong = 1 << 6, // volatile, relaxed, acquire, release: no data race
  kRelu = 1 << 7,
  kAligned = 1 << 8, // a barrier that all threads of a warp must reach together
  kTransposed = 1 << 9,
  kNanWins = 1 << 10, // min.NaN, max.NaN
  kHasResult = 1 << 11,
};

struct Inst {
  Execute run = nullptr;
  /// Register places: results first, then sources.
  uint32_t s[6] = {};
  /// First entry in Program::lists, for operands that do not fit and branch tables.
  uint32_t list = 0;
  uint32_t flags = 0;
  uint64_t imm = 0;
  uint32_t target = 0;
  /// The basic block's place in the order that decides which lanes run first.
  uint32_t rank = 0;
  uint32_t line = 0;
  uint32_t guard = 0;
  bool guardNegated = false;
  /// First of a basic block.
  bool leader = false;
  Control control = Control::None;
  Space space = Space::Generic;
  /// Bytes of one element, how many of them.
  uint8_t size = 0;
  uint8_t count = 0;
  /// Meaning is the instruction's: an operation, a comparison, a rounding.
  uint8_t kind = 0, kind2 = 0;
};

enum class Special : uint8_t {
  TidX,
  TidY,
  TidZ,
  NtidX,
  NtidY,
  NtidZ,
  CtaidX,
  CtaidY,
  CtaidZ,
  NctaidX,
  NctaidY,
  NctaidZ,
  LaneId,
  WarpId,
  NwarpId,
  MaskEq,
  MaskLt,
  MaskLe,
  MaskGt,
  MaskGe,
  SharedDynamic,
  SharedTotal,
  Zero
};

struct Program {
  struct Constant {
    uint32_t slot;
    unsigned width;
    uint64_t bits;
  };
  struct SpecialSlot {
    uint32_t slot;
    unsigned width;
    Special what;
  };
  struct Parameter {
    uint32_t offset;
    uint32_t bytes;
  };

  std::string name;
  std::vector<Inst> code;
  std::vector<uint32_t> lists;
  std::vector<Constant> constants;
  std::vector<SpecialSlot> specials;
  std::vector<Parameter> parameters;
  uint32_t registerBytes = 0;
  uint32_t parameterBytes = 0;
  /// Declared shared memory; what the launch adds begins after it.
  uint32_t sharedBytes = 0;
  uint32_t localBytes = 0;
  /// log2 of the smallest access to global (shared) memory: the grain at which races are looked for.
  unsigned globalGrain = 4, sharedGrain = 4;
  /// Blocks synchronise through memory: there is a fence as wide as the device.
  bool fences = false;
  std::array<uint32_t, 3> maxThreads{}, requiredThreads{};
};

} // namespace peer::runtime::sim
