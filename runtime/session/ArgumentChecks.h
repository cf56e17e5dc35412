// Whether arguments are what an entry takes, in whatever form they come.
#pragma once

#include "model/Manifest.h"

namespace peer::runtime {

/// The shapes of a call's inputs, one after the other, and the T they agree on.
class TokenCount {
public:
  explicit TokenCount(const Entry &entry) : entry(entry) {}

  /// Whether a shape is that of an argument, whatever T is.
  static bool fits(const Shape &expected, std::span<const int64_t> shape);
  /// Takes the T of an input whose shape fits.
  Status add(const Argument &argument, std::span<const int64_t> shape);
  /// T, 0 for an entry without one; an error where it is no T of the entry.
  Result<int64_t> get() const;

private:
  const Entry &entry;
  int64_t tokens = -1;
  const std::string *source = nullptr;
};

/// Whether the integers of an input, or a scalar, lie in its range, where it has one.
Status checkRange(const Entry &entry, const Argument &argument, const void *data, size_t count);

/// A sequence has no token before its first, and a prefill of several ends within the context: it would overwrite what its own tokens attend to.
Status checkPosition(const Entry &entry, int64_t tokens, double position);

/// What went wrong where compiled code counted `count` indices that it could not use, as `info` says.
Status checkIndices(const Entry &entry, const std::string &path, const ResultInfo &info, float count);

} // namespace peer::runtime
