// Faults: what a simulated kernel did wrong, and where.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace peer::runtime::sim {

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
  uint64_t count() const { return uint64_t{x} * y * z; }
};

enum class FaultKind : uint8_t {
  OutOfBounds,
  Misaligned,
  Uninitialised,
  SharedRace,
  GlobalRace,
  DivergentBarrier,
  DivergentWarp,
  MissingAsyncWait,
  InstructionLimit,
  Trap
};

std::string_view toString(FaultKind kind);

struct Fault {
  FaultKind kind = FaultKind::Trap;
  std::string kernel;
  /// Line of the PTX text.
  uint32_t line = 0;
  Dim3 block{0, 0, 0}, thread{0, 0, 0};
  /// Of the access, where there was one.
  uint64_t address = 0;
  uint32_t size = 0;
  /// What the kind alone does not say: the other thread of a race, the allocation missed.
  std::string detail;
  /// How often this kind came up on this line; the rest describes the first time.
  uint64_t count = 1;

  /// One sentence with everything above.
  std::string text() const;
};

/// Collects the faults of a launch from all its blocks, one entry per kind and line.
class FaultList {
public:
  explicit FaultList(size_t limit) : limit(limit) {}
  void add(Fault fault);
  /// In order of block, thread, line.
  std::vector<Fault> take();

private:
  std::mutex mutex;
  std::vector<Fault> faults;
  size_t limit;
};

} // namespace peer::runtime::sim
