/* What peer_run adds to the compiled code of call.mlir at T = 1: microseconds of a call, of one of the compiled function alone, and of the
 * library's part of it, medians of batches that take turns. Usage: call call.peer */
#include "session/peer_runtime.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { kBatches = 201, kCalls = 200, kWidth = 64 };

typedef struct {
  float *allocated, *aligned;
  int64_t offset, sizes[2], strides[2];
} memref;

void _mlir_memref_to_llvm_free(void *pointer);

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec * 1e-3;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values) {
  qsort(values, kBatches, sizeof *values, ascending);
  return values[kBatches / 2];
}

int main(int count, char **arguments) {
  peer_artifact *artifact = NULL;
  void *code = count == 2 ? dlopen(arguments[1], RTLD_NOW) : NULL;
  void (*function)(void **) = code ? (void (*)(void **))dlsym(code, "peer_entry_twice") : NULL;
  if (!function || peer_open(arguments[1], &artifact) != PEER_OK) {
    fprintf(stderr, "call: error: %s\n", function ? peer_last_error() : "no artifact of call.mlir was given");
    return 1;
  }
  static _Alignas(64) float x[kWidth] = {1, 2, 3}, y[kWidth];
  int64_t shape[2] = {1, kWidth};
  peer_view in = {sizeof in, PEER_CPU, 0, "f32", 2, shape, NULL, x},
            out = {sizeof out, PEER_CPU, 0, "f32", 2, shape, NULL, y};
  peer_options options = {sizeof options, 0, 1, NULL};
  memref given = {x, x, 0, {1, kWidth}, {kWidth, 1}}, returned = {0};
  void *frame[2] = {&given, &returned};
  static double whole[kBatches], bare[kBatches], added[kBatches];
  for (int batch = 0; batch < kBatches; ++batch) {
    double start = now();
    for (int call = 0; call < kCalls; ++call)
      if (peer_run(artifact, "twice", &in, 1, &out, 1, &options) != PEER_OK) {
        fprintf(stderr, "call: error: %s\n", peer_last_error());
        return 1;
      }
    double middle = now();
    for (int call = 0; call < kCalls; ++call) {
      function(frame);
      _mlir_memref_to_llvm_free(returned.allocated);
    }
    double end = now();
    whole[batch] = (middle - start) / kCalls;
    bare[batch] = (end - middle) / kCalls;
    added[batch] = whole[batch] - bare[batch];
  }
  if (y[2] != 6) {
    fprintf(stderr, "call: error: y is %g where it should be 6\n", y[2]);
    return 1;
  }
  printf("%.3f %.3f %.3f\n", median(whole), median(bare), median(added));
  peer_close(artifact);
  return 0;
}
