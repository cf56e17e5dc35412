// Host code in the calling convention of models compiled for GPUs, with kernels in PTX, for hand-made artifacts.
#include "Descriptors.h"

#include <stdbool.h>
#include <stddef.h>

void *mgpuModuleLoadJIT(void *data, int optLevel);
void mgpuModuleUnload(void *module);
void *mgpuModuleGetFunction(void *module, const char *name);
void mgpuLaunchKernel(void *function, intptr_t gridX, intptr_t gridY, intptr_t gridZ, intptr_t blockX, intptr_t blockY,
                      intptr_t blockZ, int32_t sharedBytes, void *stream, void **parameters, void **extra,
                      size_t parameterCount);
void *mgpuStreamCreate(void);
void mgpuStreamDestroy(void *stream);
void *mgpuMemAlloc(uint64_t bytes, void *stream, bool isHostShared);
void mgpuMemFree(void *pointer, void *stream);
void mgpuMemcpy(void *to, void *from, size_t bytes, void *stream);
void mgpuMemset32(void *to, unsigned int value, size_t count, void *stream);
int8_t peer_rt_matmul(void *stream, int64_t transA, int64_t transB, int64_t m, int64_t n, int64_t k, float alpha,
                      const void *a, int64_t lda, const void *b, int64_t ldb, float beta, void *c, int64_t ldc);

static const char kPtx[] =
    ".version 8.6\n"
    ".target sm_90\n"
    ".address_size 64\n"
    // y[i] = gain * factor[i % 4] * x[i] for i < n
    ".visible .entry scale(.param .u64 y, .param .u64 x, .param .u64 factor, .param .u64 gain, .param .u64 n) {\n"
    "  .reg .pred %p; .reg .b32 %r<4>; .reg .b64 %d<10>; .reg .f32 %f<5>;\n"
    "  ld.param.u64 %d1, [y]; ld.param.u64 %d2, [x]; ld.param.u64 %d3, [factor];\n"
    "  ld.param.u64 %d4, [gain]; ld.param.u64 %d5, [n];\n"
    "  mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x; mad.lo.s32 %r1, %r1, %r2, %r3;\n"
    "  cvt.u64.u32 %d6, %r1; setp.ge.u64 %p, %d6, %d5; @%p ret;\n"
    "  mul.wide.u32 %d7, %r1, 4; add.s64 %d2, %d2, %d7; add.s64 %d1, %d1, %d7;\n"
    "  and.b32 %r2, %r1, 3; mul.wide.u32 %d8, %r2, 4; add.s64 %d3, %d3, %d8;\n"
    "  ld.global.f32 %f1, [%d2]; ld.global.f32 %f2, [%d3]; ld.global.f32 %f3, [%d4];\n"
    "  mul.f32 %f2, %f2, %f3; mul.f32 %f1, %f1, %f2;\n"
    "  st.global.f32 [%d1], %f1;\n"
    "  ret;\n"
    "}\n"
    // value += amount
    ".visible .entry add(.param .u64 value, .param .f32 amount) {\n"
    "  .reg .b64 %d; .reg .f32 %f<3>;\n"
    "  ld.param.u64 %d, [value]; ld.param.f32 %f1, [amount];\n"
    "  ld.global.f32 %f2, [%d]; add.f32 %f2, %f2, %f1; st.global.f32 [%d], %f2;\n"
    "  ret;\n"
    "}\n";

static void *module;
static int32_t hostCalls;
__attribute__((constructor)) static void load(void) { module = mgpuModuleLoadJIT((void *)kPtx, 2); }
__attribute__((destructor)) static void unload(void) { mgpuModuleUnload(module); }

static void launch(const char *kernel, int64_t blocks, void **parameters, size_t count) {
  void *stream = mgpuStreamCreate();
  mgpuLaunchKernel(mgpuModuleGetFunction(module, kernel), blocks, 1, 1, 4, 1, 1, 0, stream, parameters, NULL, count);
  mgpuStreamDestroy(stream);
}

static void scale(void *y, void *x, void *factor, void *gain, int64_t n) {
  void *parameters[] = {&y, &x, &factor, &gain, &n};
  launch("scale", (n + 3) / 4, parameters, 5);
}

static void add(void *value, float amount) {
  void *parameters[] = {&value, &amount};
  mgpuLaunchKernel(mgpuModuleGetFunction(module, "add"), 1, 1, 1, 1, 1, 1, 0, NULL, parameters, NULL, 2);
}

// y[t, i] = gain * factor[i] * x[t, i], through scratch memory; calls += 1 and usage[0] += T;
// host_calls: how often this code ran. Arguments: x, factor, calls, usage, gain.
void entry_scale(void **args) {
  Rank2 *x = args[0], *y = args[5];
  Rank0 *host = (Rank0 *)(y + 1);
  int64_t tokens = x->sizes[0];
  void *scratch = mgpuMemAlloc(16 * (uint64_t)tokens, NULL, false);
  void *out = mgpuMemAlloc(16 * (uint64_t)tokens, NULL, false);
  *y = (Rank2){out, out, 0, {tokens, 4}, {4, 1}};
  peer_rt_mark(0);
  scale(scratch, x->aligned, ((Rank1 *)args[1])->aligned, ((Rank0 *)args[4])->aligned, 4 * tokens);
  peer_rt_mark(1);
  mgpuMemcpy(out, scratch, 16 * (size_t)tokens, NULL);
  mgpuMemFree(scratch, NULL);
  add(((Rank0 *)args[2])->aligned, 1);
  add(((Rank1 *)args[3])->aligned, (float)tokens);
  void *count = mgpuMemAlloc(4, NULL, false);
  mgpuMemset32(count, (unsigned)++hostCalls, 1, NULL);
  *host = (Rank0){count, count, 0};
  peer_rt_mark(-1);
}

// Writes 8 values where there is room for 6.
void entry_overrun(void **args) {
  Rank1 *x = args[0], *factor = args[1];
  scale(mgpuMemAlloc(24, NULL, false), x->aligned, factor->aligned, factor->aligned, 8);
  // Must not be done any more: a second fault would hide the first.
  scale(NULL, NULL, NULL, NULL, 8);
}

// Reads 8 values of an input, whatever it has.
void entry_beyond(void **args) {
  Rank1 *x = args[0], *factor = args[1];
  scale(mgpuMemAlloc(32, NULL, false), x->aligned, factor->aligned, ((Rank0 *)args[2])->aligned, 8);
}

// Reads scratch memory that this call never wrote, though an earlier one may have.
void entry_stale(void **args) {
  Rank1 *x = args[0], *factor = args[1];
  void *scratch = mgpuMemAlloc(32, NULL, false), *out = mgpuMemAlloc(32, NULL, false);
  scale(out, scratch, factor->aligned, factor->aligned, 8);
  scale(scratch, x->aligned, factor->aligned, factor->aligned, 8);
}

// Asks for more memory than any device has, and goes on as compiled code does.
void entry_greedy(void **args) {
  (void)args;
  void *out = mgpuMemAlloc((uint64_t)1 << 50, NULL, false);
  scale(out, out, out, out, 8);
}

void entry_unknown(void **args) {
  (void)args;
  launch("nobody", 1, NULL, 0);
}

// Returns how often it ran, as an i32. The second time it fails, when it has returned that already.
void entry_fickle(void **args) {
  static unsigned runs;
  void *out = mgpuMemAlloc(4, NULL, false);
  mgpuMemset32(out, ++runs, 1, NULL);
  *(Rank0 *)args[0] = (Rank0){out, out, 0};
  if (runs == 2)
    launch("nobody", 1, NULL, 0);
}

// Returns whether a library multiplied, as an i32.
void entry_matmul(void **args) {
  void *out = mgpuMemAlloc(4, NULL, false);
  int8_t done = peer_rt_matmul(NULL, 0, 0, 1, 1, 1, 1, out, 1, out, 1, 0, out, 1);
  mgpuMemset32(out, (unsigned)done, 1, NULL);
  *(Rank0 *)args[0] = (Rank0){out, out, 0};
}
