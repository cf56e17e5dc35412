#include "CudaStaging.h"

#include <algorithm>
#include <cstring>

namespace peer::runtime::cuda {

namespace {
// Where the next copy begins within a buffer: at a line of the host's caches.
constexpr size_t kAlign = 64;
} // namespace

Code Staging::prepare(Buffer &buffer) {
  if (!buffer.event)
    if (Code code = driver.eventCreate(&buffer.event, kEventDisableTiming))
      return code;
  if (buffer.data)
    return kSuccess;
  void *memory = nullptr;
  Code code = driver.memAllocHost(&memory, kBytes);
  buffer.data = static_cast<char *>(memory);
  return code;
}

Code Staging::record(Buffer &buffer) {
  buffer.pending = true;
  return driver.eventRecord(buffer.event, stream);
}

Code Staging::wait(Buffer &buffer) {
  if (!buffer.pending)
    return kSuccess;
  buffer.pending = false;
  return driver.eventSynchronize(buffer.event);
}

Code Staging::copyIn(Pointer to, const void *from, size_t bytes) {
  auto *source = static_cast<const char *>(from);
  while (bytes) {
    Buffer &buffer = in[current];
    if (buffer.filled == kBytes) {
      if (Code code = record(buffer))
        return code;
      current = 1 - current;
      if (Code code = wait(in[current]))
        return code;
      in[current].filled = 0;
      continue;
    }
    if (Code code = prepare(buffer))
      return code;
    size_t count = std::min(bytes, kBytes - buffer.filled);
    std::memcpy(buffer.data + buffer.filled, source, count);
    if (Code code = driver.memcpyHtoDAsync(to, buffer.data + buffer.filled, count, stream))
      return code;
    buffer.filled = std::min(kBytes, (buffer.filled + count + kAlign - 1) / kAlign * kAlign);
    source += count;
    to += count;
    bytes -= count;
  }
  return kSuccess;
}

Code Staging::copyOut(void *to, Pointer from, size_t bytes) {
  auto *target = static_cast<char *>(to);
  // The buffer of one piece is emptied while the next piece is on its way to the other.
  for (size_t begun = 0, done = 0, piece = 0; done < bytes; ++piece) {
    if (begun < bytes) {
      Buffer &buffer = out[piece % 2];
      if (Code code = prepare(buffer))
        return code;
      buffer.filled = std::min(bytes - begun, kBytes);
      if (Code code = driver.memcpyDtoHAsync(buffer.data, from + begun, buffer.filled, stream))
        return code;
      if (Code code = record(buffer))
        return code;
      begun += buffer.filled;
    }
    if (piece == 0)
      continue;
    Buffer &arrived = out[(piece - 1) % 2];
    if (Code code = wait(arrived))
      return code;
    std::memcpy(target + done, arrived.data, arrived.filled);
    done += arrived.filled;
  }
  return kSuccess;
}

void Staging::reset() {
  for (Buffer &buffer : in) {
    buffer.filled = 0;
    buffer.pending = false;
  }
}

void Staging::release() {
  for (auto *buffers : {&in, &out})
    for (Buffer &buffer : *buffers) {
      if (buffer.data)
        (void)driver.memFreeHost(buffer.data);
      if (buffer.event)
        (void)driver.eventDestroy(buffer.event);
      buffer = {};
    }
}

} // namespace peer::runtime::cuda
