// What instructions that access memory have in common.
#pragma once

#include "Lanes.h"

#include <algorithm>

namespace peer::runtime::sim {

/// The register in s[place] plus an offset.
void laneAddresses(Warp &warp, const Inst &inst, unsigned place, uint64_t offset, uint64_t *addresses);
/// Calls `f` with the accesses that together are an instruction's, one for each place that its addresses lead to.
template <typename F>
void eachAccess(Warp &warp, const Inst &inst, Mask mask, Space space, const uint64_t *addresses, unsigned bytes,
                bool write, F f) {
  Access access;
  for (Mask rest = mask; rest; rest &= ~access.taken) {
    warp.block.locate(warp, inst, rest, space, addresses, bytes, write, access);
    if (access.lanes)
      f(access);
  }
}
/// Tells the program how small its accesses are: the grain at which races are looked for.
void noteGrain(Form &form, Space space, unsigned bytes);
/// Takes the state space; generic, and false, where none is named.
bool takeSpace(Form &form, Space &space);
/// Takes .volatile, .relaxed and so on with their scope; whether the access is a strong one, which is never a data race.
bool takeStrength(Form &form);

} // namespace peer::runtime::sim
