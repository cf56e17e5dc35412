#include "CallBuffers.h"

#include <algorithm>
#include <cstring>

namespace peer::runtime {

namespace {
/// As blocks of a device are aligned, which compiled code counts on.
constexpr uint64_t kAlign = 256;

/// The room of a part. One without bytes has some, too, so that its address is one of its own.
uint64_t roomOf(uint64_t bytes) { return (std::max<uint64_t>(bytes, 1) + kAlign - 1) / kAlign * kAlign; }
} // namespace

CallBuffers::CallBuffers(GpuDevice &device, const Entry &entry, int64_t tokens)
    : device(device), arguments(entry.arguments.size()), results(entry.results.size()) {
  for (size_t i = 0; i < arguments.size(); ++i)
    if (const Argument &argument = entry.arguments[i]; argument.isGiven())
      arguments[i] = {.bytes = bytesOf(argument.dtype, argument.shape, tokens), .used = true};
  for (size_t i = 0; i < results.size(); ++i)
    results[i] = {.bytes = bytesOf(entry.results[i].dtype, entry.results[i].shape, tokens), .used = true};
}

CallBuffers::~CallBuffers() { release(); }

void CallBuffers::release() {
  for (DeviceAddress block : blocks)
    (void)device.free(block);
  if (memory)
    (void)device.freeHost(memory);
  blocks.clear();
  copies.clear();
  memory = nullptr;
  allocated = false;
}

Result<DeviceAddress> CallBuffers::allocateBlock(uint64_t bytes) {
  // A tensor without elements has an address, too.
  PEER_TRY_ASSIGN(DeviceAddress block, device.allocate(std::max<uint64_t>(bytes, 1)));
  blocks.push_back(block);
  return block;
}

Status CallBuffers::allocateAll() {
  uint64_t sent = 0;
  for (const Part &part : arguments)
    if (part.isSmall())
      sent += roomOf(part.bytes);
  uint64_t all = sent;
  for (const Part &part : results)
    if (part.isSmall())
      all += roomOf(part.bytes);
  if (all > 0) {
    PEER_TRY_ASSIGN(memory, device.allocateHost(all));
  }
  bool together = !device.separatesBlocks() && sent > 0;
  DeviceAddress shared = 0;
  if (together) {
    PEER_TRY_ASSIGN(shared, allocateBlock(sent));
    copies.push_back({shared, memory, sent});
  }
  uint64_t offset = 0;
  for (Part &part : arguments) {
    if (part.isSmall() && together) {
      part.address = shared + offset;
    } else if (part.used) {
      PEER_TRY_ASSIGN(part.address, allocateBlock(part.bytes));
    }
    if (!part.isSmall())
      continue;
    part.host = memory + offset;
    offset += roomOf(part.bytes);
    if (!together && part.bytes > 0)
      copies.push_back({part.address, part.host, part.bytes});
  }
  for (Part &part : results)
    if (part.isSmall()) {
      part.host = memory + offset;
      offset += roomOf(part.bytes);
    }
  return {};
}

Status CallBuffers::allocate() {
  if (allocated)
    return {};
  if (Status status = allocateAll(); !status.ok()) {
    release();
    return status;
  }
  allocated = true;
  return {};
}

Status CallBuffers::put(size_t argument, const void *value) {
  const Part &part = arguments[argument];
  if (!part.isSmall())
    return device.copyIn(part.address, value, part.bytes);
  if (part.bytes > 0)
    std::memcpy(part.host, value, part.bytes);
  return {};
}

Status CallBuffers::send() {
  for (const Copy &copy : copies)
    PEER_TRY(device.send(copy.to, copy.from, copy.bytes));
  return {};
}

Status CallBuffers::fetch(size_t result, DeviceAddress from) {
  const Part &part = results[result];
  return part.isSmall() && part.bytes > 0 ? device.fetch(part.host, from, part.bytes) : Status();
}

Status CallBuffers::take(size_t result, DeviceAddress from, void *value) {
  const Part &part = results[result];
  if (!part.isSmall())
    return device.copyOut(value, from, part.bytes);
  if (part.bytes > 0)
    std::memcpy(value, part.host, part.bytes);
  return {};
}

} // namespace peer::runtime
