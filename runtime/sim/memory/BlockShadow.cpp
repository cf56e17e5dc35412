#include "BlockShadow.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace peer::runtime::sim {

void BlockShadow::Free::operator()(Page *p) const { std::free(p); }

void BlockShadow::prepareSlow(uint64_t launch, unsigned granuleShift, uint64_t bytes) {
  std::lock_guard guard(mutex);
  if (preparedFor.load(std::memory_order_relaxed) == launch)
    return;
  shift = granuleShift;
  if (granuleShift < allocatedShift) {
    uint64_t count = (bytes >> granuleShift >> kPageShift) + 1;
    // calloc: the pages of a large allocation that no kernel touches never become real.
    pages.reset(static_cast<Page *>(std::calloc(count, sizeof(Page))));
    allocatedShift = granuleShift;
  }
  preparedFor.store(launch, std::memory_order_release);
}

BlockShadow::Page &BlockShadow::lock(uint64_t number) {
  Page &page = pages[number];
  std::atomic_ref state(page.state);
  uint64_t mine = preparedFor.load(std::memory_order_relaxed) << 1;
  uint64_t seen = state.load(std::memory_order_relaxed);
  for (unsigned tries = 0; (seen & 1) || !state.compare_exchange_weak(seen, mine | 1, std::memory_order_acquire);) {
    // Pages are held for some nanoseconds, unless their holder was put to sleep.
    if ((seen & 1) && ++tries % 64 == 0)
      std::this_thread::yield();
    seen = state.load(std::memory_order_relaxed);
  }
  if (seen != mine) {
    std::memset(page.writer, 0, sizeof page.writer);
    std::memset(page.reader, 0, sizeof page.reader);
  }
  return page;
}

void BlockShadow::unlock(Page &page) {
  std::atomic_ref(page.state).store(preparedFor.load(std::memory_order_relaxed) << 1, std::memory_order_release);
}

// Without memory for the shadow races stay unseen, which is better than no result at all.
template <typename F>
bool BlockShadow::onPages(uint64_t offset, uint64_t bytes, F each) {
  if (!pages)
    return true;
  uint64_t granule = offset >> shift, end = ((offset + bytes - 1) >> shift) + 1;
  for (bool fine = true; granule < end;) {
    uint64_t number = granule >> kPageShift, first = granule % kPageGranules;
    uint64_t last = std::min(first + (end - granule), kPageGranules);
    Page &page = lock(number);
    fine = each(page, first, last);
    unlock(page);
    if (!fine)
      return false;
    granule += last - first;
  }
  return true;
}

bool BlockShadow::read(uint64_t offset, uint64_t bytes, uint32_t block) {
  return onPages(offset, bytes, [self = block + 1](Page &page, uint64_t first, uint64_t last) {
    uint32_t others = 0;
    for (uint64_t i = first; i < last; ++i)
      others |= page.writer[i] != self ? page.writer[i] : 0;
    if (others)
      return false;
    for (uint64_t i = first; i < last; ++i) {
      uint32_t reader = page.reader[i];
      page.reader[i] = reader == 0 || reader == self ? self : kMany;
    }
    return true;
  });
}

bool BlockShadow::write(uint64_t offset, uint64_t bytes, uint32_t block) {
  return onPages(offset, bytes, [self = block + 1](Page &page, uint64_t first, uint64_t last) {
    uint32_t others = 0;
    for (uint64_t i = first; i < last; ++i) {
      others |= page.writer[i] != self ? page.writer[i] : 0;
      others |= page.reader[i] != self ? page.reader[i] : 0;
    }
    if (others)
      return false;
    for (uint64_t i = first; i < last; ++i)
      page.writer[i] = self;
    return true;
  });
}

uint32_t BlockShadow::readGranule(uint64_t offset, uint32_t block) {
  uint32_t other = 0;
  onPages(offset, 1, [&, self = block + 1](Page &page, uint64_t i, uint64_t) {
    uint32_t writer = page.writer[i], reader = page.reader[i];
    page.reader[i] = reader == 0 || reader == self ? self : kMany;
    other = writer != self ? writer : 0;
    return true;
  });
  return other;
}

uint32_t BlockShadow::writeGranule(uint64_t offset, uint32_t block) {
  uint32_t other = 0;
  onPages(offset, 1, [&, self = block + 1](Page &page, uint64_t i, uint64_t) {
    uint32_t writer = page.writer[i], reader = page.reader[i];
    page.writer[i] = self;
    other = writer != 0 && writer != self ? writer : reader != self ? reader : 0;
    return true;
  });
  return other;
}

} // namespace peer::runtime::sim
