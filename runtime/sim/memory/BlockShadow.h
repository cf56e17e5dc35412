// Which blocks of a launch touched an allocation: races between blocks.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

namespace peer::runtime::sim {

/// Who touched the granules of an allocation in one launch. Granules have the size of the launch's smallest access.
class BlockShadow {
public:
  /// Makes the shadow ready for a launch whose smallest access has 1 << granuleShift bytes; called by any thread of the launch.
  void prepare(uint64_t launch, unsigned granuleShift, uint64_t bytes) {
    if (preparedFor.load(std::memory_order_acquire) != launch)
      prepareSlow(launch, granuleShift, bytes);
  }

  /// Records that `block` reads (writes) `bytes` bytes; false when an access of another block may race with it. Then what is
  /// recorded is of no more than the part before that, and the granules must be asked for one by one.
  bool read(uint64_t offset, uint64_t bytes, uint32_t block);
  bool write(uint64_t offset, uint64_t bytes, uint32_t block);

  /// Records the access to the granule at `offset`; returns the number + 1 of another block whose access races with it, 0 if none,
  /// kMany if it is one of several.
  uint32_t readGranule(uint64_t offset, uint32_t block);
  uint32_t writeGranule(uint64_t offset, uint32_t block);

  static constexpr uint32_t kMany = ~0u;

private:
  static constexpr unsigned kPageShift = 8;
  static constexpr uint64_t kPageGranules = uint64_t{1} << kPageShift;
  /// Cleared when a launch first touches it. Numbers of blocks + 1.
  struct Page {
    /// The launch, times two; odd while a thread works on the page.
    uint64_t state;
    uint32_t writer[kPageGranules];
    uint32_t reader[kPageGranules];
  };
  struct Free {
    void operator()(Page *p) const;
  };

  void prepareSlow(uint64_t launch, unsigned granuleShift, uint64_t bytes);
  Page &lock(uint64_t number);
  void unlock(Page &page);
  /// Calls `each` with the locked page and the range of its granules, page by page, until it is false.
  template <typename F>
  bool onPages(uint64_t offset, uint64_t bytes, F each);

  std::atomic<uint64_t> preparedFor{0};
  unsigned shift = 0;
  unsigned allocatedShift = 64;
  std::unique_ptr<Page[], Free> pages;
  std::mutex mutex;
};

} // namespace peer::runtime::sim
