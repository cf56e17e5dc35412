// Where the inputs, scalars and results of calls of one entry with one T wait on either side. All addresses stay, so that copies can be part
// of a graph, and small inputs and scalars go to the device with one copy: a copy costs microseconds, whatever its size.
#pragma once

#include "GpuDevice.h"
#include "device/CallFrame.h"

namespace peer::runtime {

class CallBuffers {
public:
  /// Inputs and results of more bytes go through the device's own staging memory, each with a copy of its own, so that no plan pins more
  /// memory than this for each.
  static constexpr uint64_t kSmallBytes = uint64_t{1} << 20;

  CallBuffers(GpuDevice &device, const Entry &entry, int64_t tokens);
  ~CallBuffers();
  CallBuffers(const CallBuffers &) = delete;
  CallBuffers &operator=(const CallBuffers &) = delete;

  /// Allocates all, unless that was done before. After an error there is nothing, and it may be tried again.
  Status allocate();
  /// Where input or scalar `argument` lies on the device.
  DeviceAddress address(size_t argument) const { return arguments[argument].address; }

  /// Takes the value of an input or scalar; `value` may be changed when it returns. Nothing may be on the stream.
  Status put(size_t argument, const void *value);
  /// Puts the copy of the small values to the device on the stream.
  Status send();

  /// Puts the copy of result `result` to the host on the stream, where it is a small one.
  Status fetch(size_t result, DeviceAddress from);
  /// The value of a result that was fetched from `from`, once nothing is on the stream any more.
  Status take(size_t result, DeviceAddress from, void *value);

private:
  struct Part {
    uint64_t bytes = 0;
    bool used = false;
    /// Null for a large one.
    std::byte *host = nullptr;
    /// Of arguments.
    DeviceAddress address = 0;
    bool isSmall() const { return used && bytes <= kSmallBytes; }
  };
  struct Copy {
    DeviceAddress to;
    const std::byte *from;
    uint64_t bytes;
  };
  Status allocateAll();
  Result<DeviceAddress> allocateBlock(uint64_t bytes);
  void release();

  GpuDevice &device;
  std::vector<Part> arguments, results;
  bool allocated = false;
  std::byte *memory = nullptr; // the host's side of all small parts
  std::vector<DeviceAddress> blocks;
  std::vector<Copy> copies;
};

} // namespace peer::runtime
