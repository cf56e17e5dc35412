// A small language model as an artifact.

#include "FakeLanguageModel.h"

#include "core/File.h"
#include "core/Hash.h"
#include "model/Random.h"

#include <cstdlib>
#include <cstring>

namespace peer::runtime {
namespace {

constexpr const char *kCode = R"c(
#include <math.h>
#include <stdint.h>
#include <unistd.h>
void *_mlir_memref_to_llvm_alloc(uint64_t);
typedef struct { void *allocated, *aligned; int64_t offset; } D0;
typedef struct { void *allocated, *aligned; int64_t offset, size, stride; } D1;
typedef struct { void *allocated, *aligned; int64_t offset, sizes[2], strides[2]; } D2;
static float scalar(void *d) { return *(float *)((D0 *)d)->aligned; }
static D0 result(float value) {
  float *p = _mlir_memref_to_llvm_alloc(4);
  *p = value;
  return (D0){p, p, 0};
}
static double row_loss(const float *row, int target, double *p) {
  double sum = 0;
  for (int v = 0; v < 256; ++v) sum += exp(row[v]);
  for (int v = 0; v < 256; ++v) p[v] = exp(row[v]) / sum;
  return -log(p[target]);
}
// tokens, targets, bigram, usage of experts -> loss
void fake_loss(void **a) {
  D1 *t = a[0];
  int32_t *x = t->aligned, *y = ((D1 *)a[1])->aligned;
  float *table = ((D2 *)a[2])->aligned, *mass = ((D1 *)a[3])->aligned;
  double loss = 0, p[256];
  for (int64_t i = 0; i < t->size; ++i) loss += row_loss(table + 256 * x[i], y[i], p), mass[x[i] % 16] += 1;
  *(D0 *)a[4] = result(loss / t->size);
}
// tokens, targets, bigram, experts, running, momentum, usage, lr.default, lr.experts, step -> loss, norm
void fake_train(void **a) {
  D1 *t = a[0];
  int32_t *x = t->aligned, *y = ((D1 *)a[1])->aligned;
  float *table = ((D2 *)a[2])->aligned, *experts = ((D2 *)a[3])->aligned, *running = ((D1 *)a[4])->aligned;
  float *momentum = ((D2 *)a[5])->aligned, *mass = ((D1 *)a[6])->aligned;
  float lr = scalar(a[7]), lr_experts = scalar(a[8]), step = scalar(a[9]);
  double loss = 0, norm = 0, p[256];
  for (int i = 0; i < 65536; ++i) momentum[i] *= 0.5f;
  for (int64_t i = 0; i < t->size; ++i) {
    loss += row_loss(table + 256 * x[i], y[i], p);
    for (int v = 0; v < 256; ++v) {
      double g = (p[v] - (v == y[i])) / t->size;
      momentum[256 * x[i] + v] += g;
      norm += g * g;
    }
    mass[x[i] % 16] += 1;
    *running = 0.99f * *running + 0.01f * x[i];
  }
  for (int i = 0; i < 65536; ++i) table[i] -= lr * momentum[i] * (1 + 0.001f * *running);
  for (int i = 0; i < 16; ++i) experts[i] -= lr_experts * 0.01f * step;
  if (lr_experts >= 100) usleep(20000);
  D0 *r = a[10];
  r[0] = result(lr >= 1000 && step >= 3 ? NAN : loss / t->size);
  r[1] = result(sqrt(norm));
}
static void generate(D1 *t, float *cache, int32_t position, D2 *out) {
  int32_t *x = t->aligned;
  float *logits = _mlir_memref_to_llvm_alloc(t->size * 1024 + 4);
  for (int64_t i = 0; i < t->size; ++i) {
    int64_t at = position + i;
    // The cache is a ring of 16 tokens; each was stored plus one, so that a cleared cache is told from token 0.
    int lost = at > 0 && cache[(at - 1) % 16] == 0;
    for (int v = 0; v < 256; ++v) logits[256 * i + v] = lost ? NAN : v == 'a' + at % 26 ? 9 : 0;
    cache[at % 16] = x[i] + 1;
  }
  *out = (D2){logits, logits, 0, {t->size, 256}, {256, 1}};
}
// tokens, cache, position -> logits
void fake_step(void **a) { generate(a[0], ((D1 *)a[1])->aligned, *(int32_t *)((D0 *)a[2])->aligned, a[3]); }
)c";

constexpr const char *kManifest = R"json({
"format": 1, "compiler": "none", "model": "fake.mlir", "target": {"device": "cpu", "cpu": "x86-64", "features": []},
"parameters": [
 {"name": "bigram", "dtype": "f32", "shape": [256, 256], "group": "default", "trainable": true, "init": {"kind": "normal", "mean": 0.0, "std": 0.02}},
 {"name": "experts", "dtype": "f32", "shape": [16, 1], "group": "experts", "trainable": true, "init": {"kind": "constant", "value": 0.0}},
 {"name": "running", "dtype": "f32", "shape": [1], "group": "default", "trainable": false, "init": {"kind": "constant", "value": 0.0}}],
"groups": [{"name": "default", "optimizer": "sgd", "learning_rate": 5.0, "lazy": false}, {"name": "experts", "optimizer": "sgd", "learning_rate": 0.5, "lazy": true}],
"entries": [
 {"name": "loss", "symbol": "fake_loss", "kind": "loss", "of": "", "dims": {"T": {"multiple_of": 16}}, "arguments": [
   {"name": "tokens", "role": "input", "dtype": "i32", "shape": ["T"], "range": [0, 256]}, {"name": "targets", "role": "input", "dtype": "i32", "shape": ["T"], "range": [0, 256]},
   {"name": "bigram", "role": "parameter", "dtype": "f32", "shape": [256, 256], "updated": false},
   {"name": "experts", "role": "usage", "dtype": "f32", "shape": [16], "grid": [4, 4], "updated": true}],
  "results": [{"name": "loss", "dtype": "f32", "shape": []}], "kernels": []},
 {"name": "train", "symbol": "fake_train", "kind": "train", "of": "loss", "dims": {"T": {"multiple_of": 16}}, "arguments": [
   {"name": "tokens", "role": "input", "dtype": "i32", "shape": ["T"], "range": [0, 256]}, {"name": "targets", "role": "input", "dtype": "i32", "shape": ["T"], "range": [0, 256]},
   {"name": "bigram", "role": "parameter", "dtype": "f32", "shape": [256, 256], "updated": true}, {"name": "experts", "role": "parameter", "dtype": "f32", "shape": [16, 1], "updated": true},
   {"name": "running", "role": "parameter", "dtype": "f32", "shape": [1], "updated": true}, {"name": "momentum", "role": "state", "dtype": "f32", "shape": [256, 256], "updated": true},
   {"name": "experts", "role": "usage", "dtype": "f32", "shape": [16], "grid": [4, 4], "updated": true},
   {"name": "learning_rate.default", "role": "scalar", "dtype": "f32", "shape": []}, {"name": "learning_rate.experts", "role": "scalar", "dtype": "f32", "shape": []},
   {"name": "step", "role": "scalar", "dtype": "f32", "shape": []}],
  "results": [{"name": "loss", "dtype": "f32", "shape": []}, {"name": "gradient_norm.default", "dtype": "f32", "shape": []}], "kernels": []},
 {"name": "prefill", "symbol": "fake_step", "kind": "prefill", "of": "loss", "dims": {"T": {"multiple_of": 1, "max": 16}}, "arguments": [
   {"name": "tokens", "role": "input", "dtype": "i32", "shape": ["T"], "range": [0, 256]}, {"name": "cache", "role": "state", "dtype": "f32", "shape": [16], "updated": true},
   {"name": "position", "role": "scalar", "dtype": "i32", "shape": []}],
  "results": [{"name": "logits", "dtype": "f32", "shape": ["T", 256]}], "kernels": []},
 {"name": "decode", "symbol": "fake_step", "kind": "decode", "of": "loss", "dims": {}, "arguments": [
   {"name": "tokens", "role": "input", "dtype": "i32", "shape": [1], "range": [0, 256]}, {"name": "cache", "role": "state", "dtype": "f32", "shape": [16], "updated": true},
   {"name": "position", "role": "scalar", "dtype": "i32", "shape": []}],
  "results": [{"name": "logits", "dtype": "f32", "shape": [1, 256]}], "kernels": []}]})json";

std::string build(const TemporaryFolder &folder) {
  std::string code = writeText(folder, "fake.c", kCode), object = folder / "fake.so";
  EXPECT_EQ(
      std::system(concat(PEER_TEST_CC, " -O1 -ffp-contract=off -shared -fPIC -o ", object, " ", code, " -lm").c_str()),
      0);
  std::string text = readFile(object).value(), manifest = kManifest;
  uint64_t footer[6] = {0, 1, text.size(), manifest.size(), 0, 0};
  text += manifest;
  footer[4] = fnv1a(text.data(), text.size());
  std::memcpy(footer, "PEERART", 8);
  return writeText(folder, "fake.peer", text + std::string(reinterpret_cast<const char *>(footer), sizeof(footer)));
}

} // namespace

const std::string &fakeLanguageModel() {
  static TemporaryFolder folder;
  static std::string path = build(folder);
  return path;
}

std::string writeText(const TemporaryFolder &folder, const std::string &name, const std::string &contents) {
  std::string path = folder / name;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  writeBytes(path, contents);
  return path;
}

std::string sampleText(size_t bytes) {
  static const char *kWords[] = {"expert ", "router ", "gate ", "score ", "the ", "of ", "key ", "product "};
  RandomStream random(1, "sample text");
  std::string text;
  for (uint64_t i = 0; text.size() < bytes; ++i)
    text += kWords[random.bits(i) % 8];
  return text.substr(0, bytes);
}

} // namespace peer::runtime
