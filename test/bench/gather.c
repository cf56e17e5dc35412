/* What peer.mix is measured against: reads rows of the table, or all of it in order, and does next to nothing with them. */
#include <stdint.h>

typedef float vector __attribute__((vector_size(64)));

/* The sum of all elements of `count` rows of `width` floats; a multiple of 64 floats, 64-byte aligned. */
float gather(const float *table, const int32_t *rows, int64_t count, int64_t width) {
  float total = 0;
#pragma omp parallel for schedule(static) reduction(+ : total)
  for (int64_t i = 0; i < count; ++i) {
    const vector *row = (const vector *)(table + rows[i] * width);
    const float *ahead = table + rows[i + 4 < count ? i + 4 : i] * width;
    vector sums[4] = {{0}, {0}, {0}, {0}};
    for (int64_t j = 0; j < width / 16; j += 4) {
      for (int lane = 0; lane < 4; ++lane) {
        __builtin_prefetch(ahead + (j + lane) * 16, 0, 2);
        sums[lane] += row[j + lane];
      }
    }
    vector sum = sums[0] + sums[1] + sums[2] + sums[3];
    total += sum[0] + sum[15];
  }
  return total;
}

/* The sum of `count` floats in order; 64-byte aligned, 64 at a time. */
float stream(const float *values, int64_t count) {
  float total = 0;
#pragma omp parallel for schedule(static) reduction(+ : total)
  for (int64_t chunk = 0; chunk < count; chunk += 1 << 18) {
    vector sums[4] = {{0}, {0}, {0}, {0}};
    for (int64_t i = chunk; i + 64 <= count && i < chunk + (1 << 18); i += 64)
      for (int lane = 0; lane < 4; ++lane)
        sums[lane] += *(const vector *)(values + i + lane * 16);
    vector sum = sums[0] + sums[1] + sums[2] + sums[3];
    total += sum[0] + sum[15];
  }
  return total;
}
