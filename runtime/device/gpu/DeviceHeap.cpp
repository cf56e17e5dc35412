#include "DeviceHeap.h"

#include <algorithm>

namespace peer::runtime {

namespace {
// Up to here it is not worth freeing what nobody asked for again.
constexpr uint64_t kKeptBytes = uint64_t{64} << 20;
} // namespace

DeviceHeap::~DeviceHeap() {
  for (auto &[address, block] : blocks)
    (void)device.free(address);
}

Result<DeviceAddress> DeviceHeap::take(uint64_t bytes) {
  bytes = std::max<uint64_t>(bytes, 1);
  DeviceAddress address = 0;
  if (auto found = cached.find(bytes); found != cached.end()) {
    // The lowest address, so that equal sequences of requests have equal answers.
    address = *found->second.begin();
    PEER_TRY(device.discard(address, bytes));
    found->second.erase(found->second.begin());
    if (found->second.empty())
      cached.erase(found);
    cachedBytes -= bytes;
    blocks.at(address).used = true;
  } else {
    // Shapes that changed leave blocks nobody asks for again.
    if (!pinning && cachedBytes > std::max(most, kKeptBytes))
      trim();
    Result<DeviceAddress> fresh = device.allocate(bytes);
    if (!fresh.ok() && !pinning && cachedBytes > 0) {
      trim();
      fresh = device.allocate(bytes);
    }
    PEER_TRY_ASSIGN(address, std::move(fresh));
    blocks.emplace(address, Block{bytes});
  }
  if (pinning && pinned.insert(address).second)
    ++blocks.at(address).pins;
  inUse += bytes;
  most = std::max(most, inUse);
  return address;
}

void DeviceHeap::cache(DeviceAddress address, Block &block) {
  block.used = false;
  inUse -= block.bytes;
  cached[block.bytes].insert(address);
  cachedBytes += block.bytes;
}

Status DeviceHeap::give(DeviceAddress address) {
  if (!address)
    return {};
  auto found = blocks.find(address);
  if (found == blocks.end() || !found->second.used || found->second.held)
    return Status::error("address 0x", std::hex, address, " is no block of device memory in use");
  cache(address, found->second);
  return {};
}

void DeviceHeap::giveAll() {
  for (auto &[address, block] : blocks)
    if (block.used && !block.held)
      cache(address, block);
}

std::vector<DeviceAddress> DeviceHeap::endPinning(const std::set<DeviceAddress> &held) {
  pinning = false;
  for (DeviceAddress address : held)
    if (auto found = blocks.find(address); found != blocks.end() && pinned.contains(address))
      found->second.held = true;
  std::vector<DeviceAddress> list(pinned.begin(), pinned.end());
  pinned.clear();
  return list;
}

void DeviceHeap::unpin(const std::vector<DeviceAddress> &addresses) {
  for (DeviceAddress address : addresses) {
    Block &block = blocks.at(address);
    --block.pins;
    if (std::exchange(block.held, false))
      cache(address, block);
  }
}

void DeviceHeap::trim() {
  for (auto size = cached.begin(); size != cached.end();) {
    std::set<DeviceAddress> &addresses = size->second;
    for (auto at = addresses.begin(); at != addresses.end();) {
      auto block = blocks.find(*at);
      if (block->second.pins > 0) {
        ++at;
        continue;
      }
      (void)device.free(*at);
      cachedBytes -= size->first;
      blocks.erase(block);
      at = addresses.erase(at);
    }
    size = addresses.empty() ? cached.erase(size) : std::next(size);
  }
}

} // namespace peer::runtime
