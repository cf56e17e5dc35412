// What instructions that access memory have in common.
#pragma once

#include "Lanes.h"

#include <algorithm>

namespace peer::runtime::sim {

/// The register in s[place] plus an offset.
void laneAddresses(Warp &warp, const Inst &inst, unsigned place, uint64_t offset, uint64_t *addresses);
/// Tells the program how small its accesses are: the grain at which races are looked for.
void noteGrain(Form &form, Space space, unsigned bytes);
/// Takes the state space; generic, and false, where none is named.
bool takeSpace(Form &form, Space &space);
/// Takes .volatile, .relaxed and so on with their scope; whether the access is a strong one, which is never a data race.
bool takeStrength(Form &form);

} // namespace peer::runtime::sim
