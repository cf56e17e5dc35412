#include "Memory.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

namespace peer::runtime::sim {

namespace {
// A pattern that no kernel takes for a result: signalling in floats, far out as an index.
constexpr int kNeverWritten = 0xa5;
} // namespace

void BlockShadow::Free::operator()(uint64_t *p) const { std::free(p); }

void BlockShadow::prepareSlow(uint64_t launch, unsigned granuleShift, uint64_t bytes) {
  std::lock_guard lock(mutex);
  if (preparedFor.load(std::memory_order_relaxed) == launch)
    return;
  shift = granuleShift;
  if (granuleShift < allocatedShift) {
    uint64_t granules = ((bytes >> granuleShift) | ((uint64_t{1} << kPageShift) - 1)) + 1;
    // calloc: the pages of a large allocation that no kernel touches never become real.
    entries.reset(static_cast<uint64_t *>(std::calloc(granules, sizeof(uint64_t))));
    pages = std::vector<std::atomic<uint64_t>>(granules >> kPageShift);
    allocatedShift = granuleShift;
  }
  preparedFor.store(launch, std::memory_order_release);
}

std::atomic_ref<uint64_t> BlockShadow::entry(uint64_t offset) {
  uint64_t granule = offset >> shift, page = granule >> kPageShift;
  uint64_t launch = preparedFor.load(std::memory_order_relaxed);
  if (pages[page].load(std::memory_order_acquire) != launch) {
    std::lock_guard lock(mutex);
    if (pages[page].load(std::memory_order_relaxed) != launch) {
      std::memset(entries.get() + (page << kPageShift), 0, sizeof(uint64_t) << kPageShift);
      pages[page].store(launch, std::memory_order_release);
    }
  }
  return std::atomic_ref<uint64_t>(entries.get()[granule]);
}

// Without memory for the shadow races stay unseen, which is better than no result at all.
uint32_t BlockShadow::read(uint64_t offset, uint32_t block) {
  if (!entries)
    return 0;
  std::atomic_ref<uint64_t> cell = entry(offset);
  uint64_t old = cell.load(std::memory_order_relaxed);
  while (true) {
    auto writer = static_cast<uint32_t>(old >> 32), reader = static_cast<uint32_t>(old);
    uint32_t now = reader == 0 || reader == block + 1 ? block + 1 : kMany;
    if (now == reader || cell.compare_exchange_weak(old, uint64_t{writer} << 32 | now, std::memory_order_relaxed))
      return writer != 0 && writer != block + 1 ? writer : 0;
  }
}

uint32_t BlockShadow::write(uint64_t offset, uint32_t block) {
  if (!entries)
    return 0;
  std::atomic_ref<uint64_t> cell = entry(offset);
  uint64_t old = cell.load(std::memory_order_relaxed);
  while (true) {
    auto writer = static_cast<uint32_t>(old >> 32), reader = static_cast<uint32_t>(old);
    if (writer == block + 1 ||
        cell.compare_exchange_weak(old, uint64_t{block + 1} << 32 | reader, std::memory_order_relaxed)) {
      if (writer != 0 && writer != block + 1)
        return writer;
      return reader != 0 && reader != block + 1 ? reader : 0;
    }
  }
}

void Allocation::markRange(uint64_t offset, uint64_t size) {
  if (allWritten || size == 0)
    return;
  if (offset == 0 && size == bytes) {
    allWritten = true;
    return;
  }
  for (; size && (offset & 7); ++offset, --size)
    markWritten(offset, 1);
  std::memset(writtenBits.get() + (offset >> 3), 0xff, size >> 3);
  for (offset += size & ~uint64_t{7}, size &= 7; size; ++offset, --size)
    markWritten(offset, 1);
}

Result<uint64_t> Memory::allocate(uint64_t bytes, std::string name) {
  if (bytes > kOffsetMask)
    return Status::error(bytes, " bytes are more than one allocation can have");
  uint64_t id = allocations.size();
  auto made = std::make_unique<Allocation>();
  constexpr uint64_t kAlign = 256;
  made->storage.reset(new (std::nothrow) uint8_t[bytes + kAlign]);
  made->writtenBits.reset(new (std::nothrow) uint8_t[(bytes >> 3) + 1]());
  if (!made->storage || !made->writtenBits)
    return Status::error("out of memory: ", bytes, " bytes were asked for, ", usedBytes, " are in use");
  made->data = made->storage.get() + (kAlign - reinterpret_cast<uintptr_t>(made->storage.get()) % kAlign);
  std::memset(made->data, kNeverWritten, bytes);
  made->name = std::move(name);
  made->address = id << kOffsetBits;
  made->bytes = bytes;
  usedBytes += bytes;
  allocations.push_back(std::move(made));
  return id << kOffsetBits;
}

Status Memory::free(uint64_t address) {
  Allocation *found = find(address);
  if (!found || found->address != address || found->freed)
    return Status::error("address 0x", std::hex, address, " is no allocation that could be freed");
  usedBytes -= found->bytes;
  found->freed = true;
  found->storage.reset();
  found->writtenBits.reset();
  found->data = nullptr;
  return {};
}

Result<Allocation *> Memory::range(uint64_t address, uint64_t bytes, const char *what) const {
  Allocation *found = find(address);
  uint64_t offset = address & kOffsetMask;
  if (!found)
    return Status::error(what, " 0x", std::hex, address, ": no device memory there");
  if (found->freed)
    return Status::error(what, " 0x", std::hex, address, ": that memory was freed");
  if (offset > found->bytes || bytes > found->bytes - offset)
    return Status::error(what, " ", bytes, " bytes at offset ", offset, " of an allocation of ", found->bytes,
                         " bytes");
  return found;
}

Status Memory::forget(uint64_t address, uint64_t bytes) {
  PEER_TRY_ASSIGN(Allocation * found, range(address, bytes, "forget"));
  if (found->address != address || found->bytes != bytes)
    return Status::error("forget ", bytes, " bytes of an allocation of ", found->bytes, " bytes");
  std::memset(found->data, kNeverWritten, bytes);
  std::memset(found->writtenBits.get(), 0, (bytes >> 3) + 1);
  found->allWritten = false;
  return {};
}

Status Memory::copyIn(uint64_t to, const void *from, uint64_t bytes) {
  if (bytes == 0)
    return {};
  PEER_TRY_ASSIGN(Allocation * target, range(to, bytes, "copy to"));
  std::memcpy(target->data + (to & kOffsetMask), from, bytes);
  target->markRange(to & kOffsetMask, bytes);
  return {};
}

Status Memory::copyOut(void *to, uint64_t from, uint64_t bytes) const {
  if (bytes == 0)
    return {};
  PEER_TRY_ASSIGN(Allocation * source, range(from, bytes, "copy from"));
  std::memcpy(to, source->data + (from & kOffsetMask), bytes);
  return {};
}

Status Memory::copy(uint64_t to, uint64_t from, uint64_t bytes) {
  if (bytes == 0)
    return {};
  PEER_TRY_ASSIGN(Allocation * source, range(from, bytes, "copy from"));
  PEER_TRY_ASSIGN(Allocation * target, range(to, bytes, "copy to"));
  uint64_t fromOffset = from & kOffsetMask, toOffset = to & kOffsetMask;
  std::memmove(target->data + toOffset, source->data + fromOffset, bytes);
  // What was never written at the source stays so at the target.
  if (source->allWritten) {
    target->markRange(toOffset, bytes);
  } else {
    for (uint64_t i = 0; i < bytes; ++i)
      if (source->written(fromOffset + i, 1))
        target->markWritten(toOffset + i, 1);
  }
  return {};
}

Status Memory::fill(uint64_t to, uint32_t value, unsigned unit, uint64_t count) {
  if (count == 0)
    return {};
  if (unit != 1 && unit != 2 && unit != 4)
    return Status::error("memory is filled with units of 1, 2 or 4 bytes, not ", unit);
  PEER_TRY_ASSIGN(Allocation * target, range(to, unit * count, "fill"));
  uint8_t *data = target->data + (to & kOffsetMask);
  for (uint64_t i = 0; i < count; ++i)
    std::memcpy(data + i * unit, &value, unit);
  target->markRange(to & kOffsetMask, unit * count);
  return {};
}

} // namespace peer::runtime::sim
