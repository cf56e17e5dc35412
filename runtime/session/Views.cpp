#include "Views.h"

#include "ArgumentChecks.h"

#include <algorithm>
#include <cstring>

namespace peer::runtime {

namespace {
/// Compiled code for GPUs loads as many bytes at once.
constexpr size_t kDeviceAlign = 16;

template <typename... Args>
Status fail(const Expected &expected, const Args &...args) {
  if (expected.entry.empty())
    return Status::error(expected.kind, " \"", expected.name, "\" ", args...);
  return Status::error("entry \"", expected.entry, "\": ", expected.kind, " \"", expected.name, "\" ", args...);
}

Shape shapeOf(const peer_view &view) { return {view.shape, view.shape + view.rank}; }

/// Strides of what has one element, or none, say nothing.
bool isDense(const peer_view &view) {
  if (!view.strides)
    return true;
  int64_t stride = 1;
  bool dense = true;
  for (size_t i = view.rank; i-- > 0;) {
    if (view.shape[i] == 0)
      return true;
    dense = dense && (view.shape[i] == 1 || view.strides[i] == stride);
    stride *= view.shape[i];
  }
  return dense;
}

std::string deviceText(int32_t type, int32_t id) {
  switch (type) {
  case PEER_CPU:
  case PEER_CUDA_HOST:
    return "in memory of the host";
  case PEER_CUDA:
  case PEER_CUDA_MANAGED:
    return concat("on GPU ", id);
  default:
    return concat("on a device of DLPack's type ", type);
  }
}
} // namespace

Status checkSizes(const peer_view *views, size_t count, std::string_view what) {
  if (count == 0)
    return {};
  if (!views)
    return Status::error(what, " is a null pointer");
  uint32_t size = views->size;
  if (size != sizeof(peer_view))
    return Status::error("a peer_view of the ", what, " says that it has ", size, " bytes, and one of this library (",
                         "version ", peer_abi_version(), " of the interface) has ", sizeof(peer_view));
  for (size_t i = 1; i < count; ++i)
    if (views[i].size != size)
      return Status::error("the ", what, " are views of ", size, " bytes, and number ", i, " says that it has ",
                           views[i].size);
  return {};
}

Status checkType(const peer_view &view, const Expected &expected) {
  if (!view.dtype)
    return fail(expected, "has no dtype");
  if (view.rank > 0 && !view.shape)
    return fail(expected, "has no shape");
  if (dtypeName(expected.dtype) == view.dtype && TokenCount::fits(expected.shape, {view.shape, view.rank}))
    return {};
  std::optional<DType> dtype = parseDType(view.dtype);
  if (!dtype)
    return fail(expected, "has the dtype \"", view.dtype, "\", which is not known");
  for (size_t i = 0; i < view.rank; ++i)
    if (view.shape[i] < 0)
      return fail(expected, "has a negative size, ", view.shape[i]);
  return fail(expected, "is ", typeText(*dtype, shapeOf(view)), ", expected ",
              typeText(expected.dtype, expected.shape));
}

Result<Place> placeOf(const peer_view &view, const Expected &expected, const Device &device) {
  if (!isDense(view))
    return fail(expected, "is not dense: its strides are ", shapeText({view.strides, view.strides + view.rank}),
                " for the shape ", shapeText(shapeOf(view)));
  bool host = view.device_type == PEER_CPU || view.device_type == PEER_CUDA_HOST;
  bool gpu = view.device_type == PEER_CUDA || view.device_type == PEER_CUDA_MANAGED;
  std::optional<int> number = device.gpuNumber();
  if (!host && !(gpu && number && *number == view.device_id))
    return fail(expected, "is ", deviceText(view.device_type, view.device_id), ", and the device ", device.name(),
                number ? concat(" is GPU ", *number) : std::string(" takes memory of the host"));
  bool empty = std::ranges::find(view.shape, view.shape + view.rank, 0) != view.shape + view.rank;
  if (!view.data && !empty)
    return fail(expected, "has no data");
  size_t align = gpu ? kDeviceAlign : dtypeSize(expected.dtype);
  if (view.data && reinterpret_cast<uintptr_t>(view.data) % align != 0)
    return fail(expected, "lies at address ", view.data, ", expected a multiple of ", align, " bytes");
  return Place{view.data, gpu};
}

} // namespace peer::runtime
