// Pinned host memory through which all copies between host and device go: the GPU reads and writes it by itself, while the host fills or
// empties another part.
#pragma once

#include "CudaDriver.h"

#include <array>

namespace peer::runtime::cuda {

class Staging {
public:
  /// Bytes of each buffer; there are two in each direction, allocated when first needed.
  static constexpr size_t kBytes = size_t{4} << 20;

  Staging(const DriverApi &driver, const Stream &stream) : driver(driver), stream(stream) {}

  /// Puts a copy to the device on the stream. `from` may be changed when it returns.
  Code copyIn(Pointer to, const void *from, size_t bytes);
  /// Copies to the host, after everything on the stream: then nothing is on it, which the caller says by reset().
  Code copyOut(void *to, Pointer from, size_t bytes);
  /// Says that nothing is on the stream any more.
  void reset();
  /// Frees all; to be called while the context is current and nothing is on the stream.
  void release();

private:
  struct Buffer {
    char *data = nullptr;
    /// After the last copy out of or into it.
    Event event = nullptr;
    size_t filled = 0;
    bool pending = false;
  };
  Code prepare(Buffer &buffer);
  Code record(Buffer &buffer);
  Code wait(Buffer &buffer);

  const DriverApi &driver;
  const Stream &stream;
  std::array<Buffer, 2> in, out;
  size_t current = 0;
};

} // namespace peer::runtime::cuda
