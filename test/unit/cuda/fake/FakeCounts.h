// What the fake driver was asked to do. Tests find these functions by dlsym.
#pragma once

#include "device/cuda/CudaApi.h"

#include <cstdint>

namespace peer::runtime::cuda::fake {

struct Counts {
  /// Kernels launched one by one, graphs launched, kernels that graphs launched.
  uint64_t launches = 0, graphLaunches = 0, graphKernels = 0;
  uint64_t captures = 0, allocations = 0, pinnedAllocations = 0, modules = 0, synchronizations = 0;
  /// Copies from and to the host one by one; their bytes and those of graphs' copies.
  uint64_t copiesIn = 0, copiesOut = 0, bytesIn = 0, bytesOut = 0;
  /// Pieces of device and pinned memory, modules, streams, events and graphs that exist now.
  uint64_t alive = 0;
};

} // namespace peer::runtime::cuda::fake

extern "C" {
__attribute__((visibility("default"))) void fakeCudaCounts(peer::runtime::cuda::fake::Counts *counts);
/// Puts a function of a library on a stream; it computes on the memory behind device addresses, which fakeCudaMemory gives.
__attribute__((visibility("default"))) int
fakeCudaEnqueue(peer::runtime::cuda::Stream stream, int (*run)(const void *data), const void *data, uint64_t bytes);
/// The host's view of device memory; null where `bytes` bytes are not all in one allocation. What is to be written counts as
/// initialised from here on; what is to be read must be.
__attribute__((visibility("default"))) void *fakeCudaMemory(uint64_t address, uint64_t bytes, int write);
}
