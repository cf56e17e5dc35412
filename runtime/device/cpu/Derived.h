// Tensors that follow from parameters and are made by compiled code of their own: keys packed for routing. They belong to a session as its states do, but
// are never saved, and no caller sees them.
#pragma once

#include "model/Artifact.h"

namespace peer::runtime {

/// What one derivation makes. Where the parameter is in a caller's hands, who may write it at any time, there is a tensor of zeros in its place: compiled
/// code then does without.
struct Derived {
  const Entry *maker = nullptr;
  bool fresh = false;     // made since the parameter last changed
  bool handedOut = false; // a caller may write the parameter unseen
  Tensor made, nothing;

  const std::string &parameter() const { return maker->arguments[0].name; }
  /// Whether calls may read place().
  bool isReady() const { return handedOut ? nothing.data() != nullptr : fresh; }
  void *place() { return handedOut ? nothing.data() : made.data(); }
};

class DerivedTensors {
public:
  explicit DerivedTensors(const Manifest &manifest);

  /// That of a parameter; null where none follows.
  Derived *find(std::string_view parameter);
  /// All parameters may have changed.
  void invalidate();
  /// Whether a caller may write this parameter at any time from now on.
  void handOut(std::string_view parameter, bool writable);

private:
  std::vector<Derived> all;
};

} // namespace peer::runtime
