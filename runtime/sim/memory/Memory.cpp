#include "Memory.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <unistd.h>

namespace peer::runtime::sim {

namespace {
// A pattern that no kernel takes for a result: signalling in floats, far out as an index.
constexpr int kNeverWritten = 0xa5;

// The bits of a byte, or of 64, are read and set at once. Threads of a launch do so at the same time, for bytes beside each other too.
constexpr uint64_t kWordBits = 64;

/// Calls `word` with every whole word of bits in a range and `part` with the bits of a byte that are left over, until one is false.
template <typename Word, typename Part>
bool eachWord(uint8_t *bits, uint64_t offset, uint64_t size, Word word, Part part) {
  for (uint64_t end = offset + size; offset < end;) {
    if (offset % kWordBits == 0 && end - offset >= kWordBits) {
      if (!word(std::atomic_ref(*reinterpret_cast<uint64_t *>(bits + (offset >> 3)))))
        return false;
      offset += kWordBits;
      continue;
    }
    uint64_t count = std::min(8 - (offset & 7), end - offset);
    if (!part(std::atomic_ref(bits[offset >> 3]), static_cast<uint8_t>(((1u << count) - 1) << (offset & 7))))
      return false;
    offset += count;
  }
  return true;
}
} // namespace

bool Allocation::writtenSlow(uint64_t offset, uint64_t size) const {
  return eachWord(
      writtenBits.get(), offset, size,
      [](std::atomic_ref<uint64_t> word) { return word.load(std::memory_order_relaxed) == ~uint64_t{0}; },
      [](std::atomic_ref<uint8_t> byte, uint8_t wanted) {
        return (byte.load(std::memory_order_relaxed) & wanted) == wanted;
      });
}

void Allocation::markSlow(uint64_t offset, uint64_t size) {
  eachWord(
      writtenBits.get(), offset, size,
      [](std::atomic_ref<uint64_t> word) {
        if (word.load(std::memory_order_relaxed) != ~uint64_t{0})
          word.store(~uint64_t{0}, std::memory_order_relaxed);
        return true;
      },
      [](std::atomic_ref<uint8_t> byte, uint8_t wanted) {
        if ((byte.load(std::memory_order_relaxed) & wanted) != wanted)
          byte.fetch_or(wanted, std::memory_order_relaxed);
        return true;
      });
}

void Allocation::markRange(uint64_t offset, uint64_t size) {
  if (offset == 0 && size == bytes)
    allWritten = true;
  else
    markWritten(offset, size);
}

uint64_t Memory::machineMemory() {
  return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

Result<uint64_t> Memory::allocate(uint64_t bytes, std::string name) {
  if (bytes > kOffsetMask)
    return Status::error(bytes, " bytes are more than one allocation can have");
  // The system would promise more, and end the process when it is written to.
  if (bytes > limit || usedBytes > limit - bytes)
    return Status::error("out of memory: ", bytes, " bytes were asked for, ", usedBytes, " of ", limit, " are in use");
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
