// Device memory, pinned host memory, copies and fills.
#include "FakeDriver.h"

#include <cstring>

namespace peer::runtime::cuda::fake {

namespace {
/// A graph may outlive what it copies from.
constexpr const char *kUnpinned = "a copy of host memory that is not pinned any more";

/// What the driver sees at once: whether an address was ever part of an allocation that holds so many bytes.
bool plausible(Driver &self, Pointer address, size_t bytes) {
  const sim::Allocation *found = self.memory().find(address);
  return found && (address & sim::kOffsetMask) + bytes <= found->bytes;
}

/// What goes wrong while it runs, such as an access to memory that was freed.
Code ran(Driver &self, const Status &status) {
  return status.ok() ? kSuccess : self.explain(kIllegalAddress, status.message());
}

Code enqueueFill(Pointer to, uint32_t value, unsigned unit, size_t count, Stream stream) {
  return inContext([=](Driver &self) -> Code {
    if (!plausible(self, to, unit * count) || to % unit != 0)
      return kInvalidValue;
    return self.enqueue(stream, {[=, &self] { return ran(self, self.memory().fill(to, value, unit, count)); }});
  });
}
} // namespace

bool Driver::isPinned(const void *pointer, size_t bytes) const {
  auto *at = static_cast<const char *>(pointer);
  auto next = pinnedBytes.upper_bound(at);
  if (next == pinnedBytes.begin())
    return false;
  --next;
  return at + bytes <= next->first + next->second;
}

Code cuMemGetInfo_v2(size_t *free, size_t *total) {
  return inContext([=](Driver &self) -> Code {
    uint64_t used = 0;
    for (const auto &[address, bytes] : self.allocations)
      used += bytes;
    *total = self.settings.memory;
    *free = self.settings.memory - std::min(self.settings.memory, used);
    return kSuccess;
  });
}

Code cuMemAlloc_v2(Pointer *pointer, size_t bytes) {
  return inContext([=](Driver &self) -> Code {
    if (Code code = self.refuseInCapture())
      return code;
    if (bytes == 0)
      return kInvalidValue;
    size_t free = 0, total = 0;
    cuMemGetInfo_v2(&free, &total);
    if (bytes > free)
      return kOutOfMemory;
    Result<uint64_t> address = self.memory().allocate(bytes);
    if (!address.ok())
      return self.explain(kOutOfMemory, address.message());
    *pointer = *address;
    self.allocations[*address] = bytes;
    ++self.counts.allocations;
    ++self.counts.alive;
    return kSuccess;
  });
}

Code cuMemFree_v2(Pointer pointer) {
  return inContext([=](Driver &self) -> Code {
    if (Code code = self.refuseInCapture())
      return code;
    if (!self.allocations.contains(pointer))
      return kInvalidValue;
    // The real one waits, too, for whoever may still use the memory.
    if (Code code = self.drainAll())
      return code;
    self.allocations.erase(pointer);
    --self.counts.alive;
    return ran(self, self.memory().free(pointer));
  });
}

Code cuMemAllocHost_v2(void **pointer, size_t bytes) {
  return inContext([=](Driver &self) -> Code {
    if (Code code = self.refuseInCapture())
      return code;
    if (bytes == 0)
      return kInvalidValue;
    auto memory = std::make_unique<char[]>(bytes);
    *pointer = memory.get();
    self.pinnedBytes[memory.get()] = bytes;
    self.pinned[memory.get()] = std::move(memory);
    ++self.counts.pinnedAllocations;
    ++self.counts.alive;
    return kSuccess;
  });
}

Code cuMemFreeHost(void *pointer) {
  return inContext([=](Driver &self) -> Code {
    if (Code code = self.refuseInCapture())
      return code;
    if (!self.pinned.contains(static_cast<char *>(pointer)))
      return kInvalidValue;
    if (Code code = self.drainAll())
      return code;
    self.pinnedBytes.erase(static_cast<char *>(pointer));
    self.pinned.erase(static_cast<char *>(pointer));
    --self.counts.alive;
    return kSuccess;
  });
}

Code cuMemcpyHtoDAsync_v2(Pointer to, const void *from, size_t bytes, Stream stream) {
  return inContext([=](Driver &self) -> Code {
    if (!plausible(self, to, bytes))
      return kInvalidValue;
    // The real one takes pageable memory, and waits for it; nobody here means that.
    if (!self.isPinned(from, bytes))
      return self.explain(kInvalidValue, "a copy from host memory that is not pinned");
    return self.enqueue(stream, {.run =
                                     [=, &self] {
                                       if (!self.isPinned(from, bytes))
                                         return self.explain(kIllegalAddress, kUnpinned);
                                       return ran(self, self.memory().copyIn(to, from, bytes));
                                     },
                                 .bytesIn = bytes});
  });
}

Code cuMemcpyDtoHAsync_v2(void *to, Pointer from, size_t bytes, Stream stream) {
  return inContext([=](Driver &self) -> Code {
    if (!plausible(self, from, bytes))
      return kInvalidValue;
    if (!self.isPinned(to, bytes))
      return self.explain(kInvalidValue, "a copy to host memory that is not pinned");
    return self.enqueue(stream, {.run =
                                     [=, &self] {
                                       if (!self.isPinned(to, bytes))
                                         return self.explain(kIllegalAddress, kUnpinned);
                                       return ran(self, self.memory().copyOut(to, from, bytes));
                                     },
                                 .bytesOut = bytes});
  });
}

Code cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, size_t bytes, Stream stream) {
  return inContext([=](Driver &self) -> Code {
    if (!plausible(self, to, bytes) || !plausible(self, from, bytes))
      return kInvalidValue;
    return self.enqueue(stream, {[=, &self] { return ran(self, self.memory().copy(to, from, bytes)); }});
  });
}

Code cuMemsetD8Async(Pointer to, unsigned char value, size_t count, Stream stream) {
  return enqueueFill(to, value, 1, count, stream);
}
Code cuMemsetD16Async(Pointer to, unsigned short value, size_t count, Stream stream) {
  return enqueueFill(to, value, 2, count, stream);
}
Code cuMemsetD32Async(Pointer to, unsigned value, size_t count, Stream stream) {
  return enqueueFill(to, value, 4, count, stream);
}

} // namespace peer::runtime::cuda::fake

void *fakeCudaMemory(uint64_t address, uint64_t bytes, int write) {
  using namespace peer::runtime;
  sim::Allocation *found = cuda::fake::driver().memory().find(address);
  uint64_t offset = address & sim::kOffsetMask;
  if (!found || found->freed || offset + bytes > found->bytes)
    return nullptr;
  if (write)
    found->markRange(offset, bytes);
  else
    for (uint64_t i = 0; i < bytes; ++i)
      if (!found->written(offset + i, 1))
        return nullptr;
  return found->data + offset;
}
