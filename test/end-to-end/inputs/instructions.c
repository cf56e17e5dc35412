/* One call of an entry between two others' work: what valgrind counts is below `counted`. The parameters are numbers of a fixed sequence, and the
 * experts zeros that no page holds until they are read, so that a layer of a million of them starts at once.
 * With `kept` the keys are the library's own, which packs them in a call before. Usage: instructions MODEL.peer layer|train_step TOKENS bound|kept */
#include "session/peer_runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kWidth = 256, kClasses = 256 };

static uint32_t state = 1;

static float *numbers(size_t count, float scale) {
  float *out = malloc(count * sizeof *out);
  for (size_t i = 0; out && i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    out[i] = scale * ((float)(state >> 8) * 0x1p-23f - 1.0f);
  }
  return out;
}

static void check(peer_status status) {
  if (status == PEER_OK)
    return;
  fprintf(stderr, "instructions: error: %s\n", peer_last_error());
  exit(1);
}

static void bind(peer_artifact *artifact, const char *name, float *data, size_t rank, const int64_t *shape) {
  peer_view view = {sizeof view, PEER_CPU, 0, "f32", rank, shape, NULL, data};
  check(peer_bind(artifact, name, &view));
}

__attribute__((noinline)) void counted(peer_artifact *artifact, const char *entry, const peer_view *given, size_t taken,
                                       peer_view *results, size_t made) {
  peer_options options = {sizeof options, 0, 1, NULL};
  check(peer_run(artifact, entry, given, taken, results, made, &options));
  __asm__ volatile("" ::: "memory"); /* No tail call: valgrind ends the count where this function returns. */
}

int main(int count, char **arguments) {
  if (count != 5) {
    fprintf(stderr, "instructions: error: expected MODEL.peer ENTRY TOKENS KEYS\n");
    return 1;
  }
  const char *entry = arguments[2];
  int train = strcmp(entry, "train_step") == 0;
  int64_t tokens = atoll(arguments[3]);
  peer_artifact *artifact = NULL;
  check(peer_open(arguments[1], &artifact));
  /* Scores of about one, as of normed queries. */
  bind(artifact, "query.weight", numbers(kWidth * 2048, 0.1f), 2, (int64_t[]){kWidth, 2048});
  bind(artifact, "keys", numbers(8 * 2 * 1024 * 128, 0.15f), 4, (int64_t[]){8, 2, 1024, 128});
  bind(artifact, "experts", calloc((size_t)1 << 29, sizeof(float)), 3, (int64_t[]){1 << 20, 2, kWidth});

  float *x = numbers((size_t)tokens * kWidth, 1.7f), *y = malloc((size_t)tokens * kWidth * sizeof *y);
  int32_t *targets = malloc((size_t)tokens * sizeof *targets);
  for (int64_t t = 0; t < tokens; ++t)
    targets[t] = (int32_t)(t * 37 % kClasses);
  float rate = 1e-3f, loss = 0, norm = 0, fault = 0;
  float step = 1;
  int64_t rows[2] = {tokens, kWidth};
  peer_view given[] = {{sizeof *given, PEER_CPU, 0, "f32", 2, rows, NULL, x},
                       {sizeof *given, PEER_CPU, 0, "i32", 1, rows, NULL, targets},
                       {sizeof *given, PEER_CPU, 0, "f32", 0, NULL, NULL, &rate},
                       {sizeof *given, PEER_CPU, 0, "f32", 0, NULL, NULL, &rate},
                       {sizeof *given, PEER_CPU, 0, "f32", 0, NULL, NULL, &step}};
  peer_view layer[] = {{sizeof *layer, PEER_CPU, 0, "f32", 2, rows, NULL, y}};
  peer_view learnt[] = {{sizeof *learnt, PEER_CPU, 0, "f32", 0, NULL, NULL, &loss},
                        {sizeof *learnt, PEER_CPU, 0, "f32", 0, NULL, NULL, &norm},
                        {sizeof *learnt, PEER_CPU, 0, "f32", 0, NULL, NULL, &fault}};
  if (strcmp(arguments[4], "kept") == 0) {
    peer_options options = {sizeof options, 0, 1, NULL};
    check(peer_bind(artifact, "keys", NULL));
    check(peer_run(artifact, entry, given, 1, layer, 1, &options));
  }
  counted(artifact, entry, given, train ? 5 : 1, train ? learnt : layer, train ? 3 : 1);
  peer_close(artifact);
  return 0;
}
