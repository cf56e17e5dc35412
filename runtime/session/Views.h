// Views that programs give, beside what they must be.
#pragma once

#include "device/Device.h"
#include "peer_runtime.h"

namespace peer::runtime {

/// What a view is checked for.
struct Expected {
  /// In messages: 'entry "layer": argument "x"'. Made where it is needed.
  std::string_view entry, kind, name;
  DType dtype;
  const Shape &shape; // kDynamic where any size will do
};

/// An error for a view that is none of the type and shape that is expected.
Status checkType(const peer_view &view, const Expected &expected);

/// Where it lies: in the host's memory, or in the device's where that takes it in place. An error for a view that is not dense, lies elsewhere, or
/// not at a multiple of what the device's code counts on.
Result<Place> placeOf(const peer_view &view, const Expected &expected, const Device &device);

/// An error where a list has a size that this library does not know. `what` it is of: "arguments".
Status checkSizes(const peer_view *views, size_t count, std::string_view what);

} // namespace peer::runtime
