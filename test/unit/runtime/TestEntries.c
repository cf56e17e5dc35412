// Functions in the calling convention of compiled models, for hand-made artifacts.
#include "Descriptors.h"

#include <stddef.h>

void *_mlir_memref_to_llvm_alloc(size_t bytes);

// y[t, i] = gain * factor[i] * x[t, i]; calls += 1; usage[0] += T. Arguments: x, factor, calls, usage, gain.
void entry_scale(void **args) {
  Rank2 *x = args[0], *y = args[5];
  float *factor = ((Rank1 *)args[1])->aligned, *calls = ((Rank0 *)args[2])->aligned,
        *usage = ((Rank1 *)args[3])->aligned;
  float gain = *(float *)((Rank0 *)args[4])->aligned;
  int64_t tokens = x->sizes[0];
  peer_rt_mark(0);
  float *out = _mlir_memref_to_llvm_alloc(sizeof(float) * 4 * tokens);
  *y = (Rank2){out, out, 0, {tokens, 4}, {4, 1}};
  peer_rt_mark(1);
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t i = 0; i < 4; ++i)
      out[t * 4 + i] = gain * factor[i] * ((float *)x->aligned)[t * 4 + i];
  *calls += 1;
  usage[0] += (float)tokens;
  peer_rt_mark(-1);
}

// sum: i64 [], and again under a second name in the same buffer. Arguments: tokens, position.
void entry_sum(void **args) {
  Rank1 *tokens = args[0];
  int32_t position = *(int32_t *)((Rank0 *)args[1])->aligned;
  Rank0 *results = args[2];
  int64_t *sum = _mlir_memref_to_llvm_alloc(sizeof(int64_t));
  *sum = position;
  for (int64_t t = 0; t < tokens->sizes[0]; ++t)
    *sum += ((int32_t *)tokens->aligned)[t];
  results[0] = results[1] = (Rank0){sum, sum, 0};
}

// Asks for 16 MiB that it can have, then for more memory than any machine has.
void entry_greedy(void **args) {
  (void)args;
  _mlir_memref_to_llvm_alloc((size_t)16 << 20);
  _mlir_memref_to_llvm_alloc((size_t)1 << 50);
}

// Returns [3] where the manifest says [2].
void entry_liar(void **args) {
  float *out = _mlir_memref_to_llvm_alloc(sizeof(float) * 3);
  *(Rank1 *)args[0] = (Rank1){out, out, 0, {3}, {1}};
}

// A result, then a check that counted 2. Arguments: none.
void entry_checked(void **args) {
  Rank0 *results = args[0];
  for (int i = 0; i < 2; ++i) {
    float *value = _mlir_memref_to_llvm_alloc(sizeof(float));
    *value = (float)(1 + i);
    results[i] = (Rank0){value, value, 0};
  }
}

// y[t, i] = factor[i] * x[t, i]. Arguments: x, factor.
void entry_apply(void **args) {
  Rank2 *x = args[0], *y = args[2];
  float *factor = ((Rank1 *)args[1])->aligned;
  int64_t tokens = x->sizes[0];
  float *out = _mlir_memref_to_llvm_alloc(sizeof(float) * 4 * tokens);
  *y = (Rank2){out, out, 0, {tokens, 4}, {4, 1}};
  for (int64_t i = 0; i < 4 * tokens; ++i)
    out[i] = factor[i % 4] * ((float *)x->aligned)[i];
}
