// Buffers as compiled models pass them: MLIR's descriptors of memrefs, and of what a kernel of a model starts with.
#pragma once

#include <stdint.h>

typedef struct {
  void *allocated, *aligned;
  int64_t offset;
} Rank0;
typedef struct {
  void *allocated, *aligned;
  int64_t offset, sizes[1], strides[1];
} Rank1;
typedef struct {
  void *allocated, *aligned;
  int64_t offset, sizes[2], strides[2];
} Rank2;

/// From here on time is kernel `kernel`'s; -1: nobody's.
void peer_rt_mark(int64_t kernel);
