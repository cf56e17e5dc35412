// Which calls fail.
#pragma once

namespace peer::faults {

enum Kind { Write, Read, Sync, Rename, Map, Open, Make, List, Cut, Close, Remove, Allocate, Kinds };

/// Counts a call; true where it has to fail, with errno set.
bool fails(Kind kind, void *caller);

/// From here on calls count.
void beginCounting();

/// The function of this name that would be called without this library.
void *next(const char *name);

} // namespace peer::faults
