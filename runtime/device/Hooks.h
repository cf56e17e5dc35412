// What compiled code calls. The names and types are a contract with the compiler, described in runtime/README.md.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {
/// 64-byte aligned memory, not initialised.
void *_mlir_memref_to_llvm_alloc(size_t bytes);
void *_mlir_memref_to_llvm_aligned_alloc(size_t alignment, size_t bytes);
void _mlir_memref_to_llvm_free(void *pointer);

/// C = alpha * op(A) op(B) + beta * C, row-major, on the calling thread. C is m x n; a non-zero trans takes the stored matrix transposed.
void peer_rt_sgemm(int64_t transA, int64_t transB, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                   int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

/// The same with elements of A and B rounded to bf16, and sums in f32.
void peer_rt_sgemm_bf16(int64_t transA, int64_t transB, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                        int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

/// A tile of a route: rows of scores, those without bounds, keys of all rows, those scored in f32, and the bytes of keys that were read for it.
void peer_rt_scored(int64_t rows, int64_t unbounded, int64_t keys, int64_t scored, int64_t bytes);

/// Whether this process may use registers of tiles and multiply bf16 in them; asks the kernel once. 0 or 1.
int64_t peer_rt_tiles();

/// The entry's kernel with this index starts now; -1: the last one ended.
void peer_rt_mark(int64_t kernel);
}
