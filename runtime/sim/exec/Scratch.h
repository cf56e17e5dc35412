// What the runs of blocks on one thread of this machine need room for, kept from launch to launch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

namespace peer::runtime::sim {

/// Who touched a granule of shared memory last, and when by the warp's count. Threads are numbered from 1.
struct Cell {
  uint16_t writer = 0;
  uint16_t reader[2] = {0, 0};
  /// The thread whose cp.async writes here and has not been waited for.
  uint16_t pending = 0;
  uint32_t writeClock = 0;
  uint32_t readClock[2] = {0, 0};
  bool atomic = false;

  void noteWriter(uint16_t thread, uint32_t clock, bool byAtomic) {
    writer = thread;
    writeClock = clock;
    atomic = byAtomic;
  }
  /// Two readers are kept, always different threads, so that a writer that reads too does not hide the other.
  void noteReader(uint16_t thread, uint32_t clock) {
    if (reader[0] != thread) {
      reader[1] = reader[0];
      readClock[1] = readClock[0];
      reader[0] = thread;
    }
    readClock[0] = clock;
  }
};

/// Bytes aligned to cache lines, that grow and never shrink.
class LineBuffer {
public:
  /// At least so many bytes, with anything in them.
  std::byte *reserve(size_t wanted) {
    if (wanted > bytes) {
      data.reset(static_cast<std::byte *>(::operator new[](wanted, std::align_val_t{64})));
      bytes = wanted;
    }
    return data.get();
  }

private:
  struct Free {
    void operator()(std::byte *p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  std::unique_ptr<std::byte[], Free> data;
  size_t bytes = 0;
};

struct Scratch {
  std::vector<uint8_t> shared, local, localWritten;
  std::vector<Cell> cells;
  std::vector<LineBuffer> registers;
  /// Every count of every clock in the cells is up to here: it belongs to a block that ran before.
  uint32_t clockBase = 0;
};

} // namespace peer::runtime::sim
