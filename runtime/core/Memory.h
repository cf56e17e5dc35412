// How much memory there is, in words for messages.
#pragma once

#include "Status.h"

#include <cstdint>

namespace peer::runtime {

/// "12.3 GB" (powers of ten), for messages.
std::string bytesText(uint64_t bytes);

/// Bytes the kernel could give to this process without swapping: the smallest of MemAvailable, the control groups' and the address space limit's
/// rest.
uint64_t availableMemory();

/// Bytes that this process may still map, used or not (ulimit -v, vm.overcommit_memory=2); the largest number where there is no limit.
uint64_t availableAddresses();

/// An error when `bytes` more do not fit: "WHAT needs 12.3 GB, 8.1 GB available".
Status checkMemory(std::string_view what, uint64_t bytes);

} // namespace peer::runtime
