#include "ArgumentChecks.h"

#include <algorithm>
#include <utility>

namespace peer::runtime {

namespace {
template <typename T>
Status checkRangeOf(const Entry &entry, const Argument &argument, const void *data, size_t count) {
  auto [low, high] = *argument.range;
  const T *values = static_cast<const T *>(data);
  for (size_t i = 0; i < count; ++i) {
    if (!std::cmp_less(values[i], low) && !std::cmp_greater_equal(values[i], high))
      continue;
    if (argument.role == Role::Scalar)
      return Status::error("entry \"", entry.name, "\": scalar \"", argument.name, "\" is ", +values[i],
                           ", expected a value in [", low, ", ", high, ")");
    return Status::error("entry \"", entry.name, "\": input \"", argument.name, "\" holds ", +values[i],
                         " at position ", i, ", expected values in [", low, ", ", high, ")");
  }
  return {};
}
} // namespace

bool TokenCount::fits(const Shape &expected, std::span<const int64_t> shape) {
  bool fits = expected.size() == shape.size();
  for (size_t i = 0; fits && i < shape.size(); ++i)
    fits = shape[i] >= 0 && (expected[i] == kDynamic || expected[i] == shape[i]);
  return fits;
}

Status TokenCount::add(const Argument &argument, std::span<const int64_t> shape) {
  for (size_t i = 0; i < shape.size(); ++i) {
    if (argument.shape[i] != kDynamic)
      continue;
    if (tokens >= 0 && shape[i] != tokens)
      return Status::error("entry \"", entry.name, "\": T is ", tokens, " by input \"", *source, "\", but ", shape[i],
                           " by input \"", argument.name, "\"");
    tokens = shape[i];
    source = &argument.name;
  }
  return {};
}

Result<int64_t> TokenCount::get() const {
  auto fail = [&](const auto &...what) {
    return Status::error("entry \"", entry.name, "\": T is ", tokens, " by input \"", *source, "\", expected ",
                         what...);
  };
  if (tokens > 0 && tokens % entry.multipleOf != 0)
    return fail("a multiple of ", entry.multipleOf);
  // Kernels number rows in 32 bits.
  if (int64_t most = entry.most > 0 ? entry.most : INT32_MAX; tokens > most)
    return fail("at most ", most);
  return std::max<int64_t>(tokens, 0);
}

Status checkRange(const Entry &entry, const Argument &argument, const void *data, size_t count) {
  if (!argument.range)
    return {};
  switch (argument.dtype) {
  case DType::I64:
    return checkRangeOf<int64_t>(entry, argument, data, count);
  case DType::I32:
    return checkRangeOf<int32_t>(entry, argument, data, count);
  case DType::I16:
    return checkRangeOf<int16_t>(entry, argument, data, count);
  case DType::I8:
    return checkRangeOf<int8_t>(entry, argument, data, count);
  case DType::U64:
    return checkRangeOf<uint64_t>(entry, argument, data, count);
  case DType::U32:
    return checkRangeOf<uint32_t>(entry, argument, data, count);
  case DType::U16:
    return checkRangeOf<uint16_t>(entry, argument, data, count);
  case DType::U8:
  case DType::Bool:
    return checkRangeOf<uint8_t>(entry, argument, data, count);
  default:
    return {};
  }
}

Status checkPosition(const Entry &entry, int64_t tokens, double position) {
  if (entry.kind != EntryKind::Prefill && entry.kind != EntryKind::Decode)
    return {};
  if (position < 0)
    return Status::error("entry \"", entry.name, "\": scalar \"position\" is ", position, ", expected 0 or more");
  if (entry.most > 0 && tokens > 1 && position + static_cast<double>(tokens) > static_cast<double>(entry.most))
    return Status::error("entry \"", entry.name, "\": ", tokens, " tokens from position ", position,
                         " on end beyond the context of ", entry.most);
  return {};
}

Status checkIndices(const Entry &entry, const std::string &path, const ResultInfo &info, float count) {
  if (count == 0)
    return {};
  return Status::error("entry \"", entry.name, "\" of ", path, ": ", static_cast<int64_t>(count),
                       count == 1 ? " index of " : " indices of ", info.check->what, count == 1 ? " is" : " are",
                       " out of range, expected values in [", info.check->range[0], ", ", info.check->range[1], ")");
}

} // namespace peer::runtime
