#include "Fault.h"

#include "core/Status.h"

#include <algorithm>
#include <tuple>

namespace peer::runtime::sim {

std::string_view toString(FaultKind kind) {
  constexpr std::string_view names[] = {"out of bounds",
                                        "misaligned access",
                                        "read of memory never written",
                                        "shared-memory race",
                                        "global-memory race",
                                        "divergent barrier",
                                        "divergent warp",
                                        "missing cp.async wait",
                                        "instruction limit",
                                        "trap"};
  return names[static_cast<unsigned>(kind)];
}

std::string Fault::text() const {
  std::string where = concat(toString(kind), " in kernel '", kernel, "', PTX line ", line, ", block (", block.x, ", ",
                             block.y, ", ", block.z, "), thread (", thread.x, ", ", thread.y, ", ", thread.z, ")");
  if (size)
    where += concat(", ", size, " bytes at address 0x", std::hex, address);
  if (!detail.empty())
    where += concat(": ", detail);
  if (count > 1)
    where += concat(" (", count, " times)");
  return where;
}

void FaultList::add(Fault fault) {
  std::lock_guard lock(mutex);
  for (Fault &known : faults)
    if (known.kind == fault.kind && known.line == fault.line) {
      known.count += fault.count;
      return;
    }
  if (faults.size() < limit)
    faults.push_back(std::move(fault));
}

std::vector<Fault> FaultList::take() {
  std::lock_guard lock(mutex);
  auto key = [](const Fault &f) {
    return std::tuple(f.block.z, f.block.y, f.block.x, f.thread.z, f.thread.y, f.thread.x, f.line, f.kind);
  };
  std::sort(faults.begin(), faults.end(), [&](const Fault &a, const Fault &b) { return key(a) < key(b); });
  return std::move(faults);
}

} // namespace peer::runtime::sim
