#include "Derived.h"

#include <algorithm>

namespace peer::runtime {

DerivedTensors::DerivedTensors(const Manifest &manifest) {
  for (const Entry &entry : manifest.derivations)
    all.emplace_back().maker = &entry;
}

Derived *DerivedTensors::find(std::string_view parameter) {
  auto found = std::ranges::find_if(all, [&](const Derived &one) { return one.parameter() == parameter; });
  return found == all.end() ? nullptr : &*found;
}

void DerivedTensors::invalidate() {
  for (Derived &one : all)
    one.fresh = false;
}

void DerivedTensors::handOut(std::string_view parameter, bool writable) {
  Derived *one = find(parameter);
  if (!one || (one->handedOut && writable))
    return;
  one->handedOut = writable;
  one->fresh = false;
  one->made = Tensor();
  one->nothing = Tensor();
}

} // namespace peer::runtime
