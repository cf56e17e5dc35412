#include "MixOpTest.h"

#include <cmath>
#include <cstring>

namespace peer::numerics {

using namespace reference;
using runtime::TensorMap;

namespace {
std::string tensorType(const std::vector<int64_t> &shape, const std::string &element) {
  std::string text = "tensor<";
  for (int64_t size : shape)
    text += (size < 0 ? "?" : std::to_string(size)) + "x";
  return text + element + ">";
}

double act(const std::string &activation, double a) {
  if (activation == "relu")
    return std::max(a, 0.0);
  return activation == "gelu" ? a * 0.5 * (1 + std::erf(a / std::sqrt(2.0))) : a / (1 + std::exp(-a));
}

double slope(const std::string &activation, double a) {
  constexpr double kStep = 1e-6;
  return (act(activation, a + kStep) - act(activation, a - kStep)) / (2 * kStep);
}
} // namespace

void MixOp::open(const MixLayer &of) {
  layer = of;
  int64_t numbers = layer.experts * layer.rows;
  pool = random({numbers, layer.vectors, layer.width}, 4, quantized() ? -128 : -1, quantized() ? 128 : 1);
  scales = random({numbers, layer.vectors}, 6, 0.2 / 127, 1.0 / 127);
  if (quantized())
    for (double &value : pool.values)
      value = std::floor(value);
  if (layer.element == "bf16")
    pool = roundToBF16(pool);
  std::string x = tensorType({-1, layer.width}, "f32"), i = tensorType({-1, layer.heads, layer.selected}, "i32"),
              w = tensorType({-1, layer.heads, layer.selected}, "f32"), p = tensorType(pool.shape, layer.element),
              s = tensorType(scales.shape, "f32"),
              c = tensorType({-1, layer.heads, layer.selected, layer.rows, layer.vectors}, "f32");
  auto named = [](const std::string &type, const char *name) { return type + " {peer.name = \"" + name + "\"}"; };
  std::string arguments = "%x: " + named(x, "x") + ", %i: " + named(i, "i") + ", %w: " + named(w, "w") +
                          ", %p: " + named(p, "p"),
              types = x + ", " + i + ", " + w + ", " + p,
              attributes = " " + layer.activation + " {rows_per_expert = " + std::to_string(layer.rows) + " : i64} : ";
  std::string text = quantized()
                         ? "func.func @f(" + arguments + ", %s: " + named(s, "s") + ") -> (" + named(x, "y") +
                               ") {\n  %y = peer.quantized_mix %x, %i, %w, %p, %s" + attributes + types + ", " + s +
                               "\n  return %y : " + x + "\n}\n"
                         : "func.func @f(" + arguments + ", %dy: " + named(x, "dy") + ") -> (" + named(x, "y") + ", " +
                               named(x, "dx") + ", " + named(w, "dw") + ", " + named(c, "c") +
                               ") {\n  %y = peer.mix %x, %i, %w, %p" + attributes + types +
                               "\n  %dx, %dw, %c = peer.mix_grad %x, %i, %w, %p, %dy" + attributes + types + ", " + x +
                               "\n  return %y, %dx, %dw, %c : " + x + ", " + x + ", " + w + ", " + c + "\n}\n";
  compiled = Compiled::compile(text, layer.code, layer.flags);
}

TensorMap MixOp::call(const Array &x, const Array &idx, const Array &w, const Array &dy) {
  TensorMap inputs;
  inputs.emplace("x", toTensor(x));
  inputs.emplace("i", toTensor(idx, "i32"));
  inputs.emplace("w", toTensor(w));
  inputs.emplace("p", toTensor(pool, layer.element));
  inputs.emplace(quantized() ? "s" : "dy", toTensor(quantized() ? scales : dy));
  return compiled ? compiled->call("f", inputs) : TensorMap();
}

void MixOp::check(int64_t tokens, double tolerance) {
  std::vector<int64_t> pairs{tokens, layer.heads, layer.selected};
  check(random({tokens, layer.width}, 1), randomExperts(pairs, layer.experts, 2), random(pairs, 3),
        random({tokens, layer.width}, 5), tolerance);
}

void MixOp::check(const Array &x, const Array &idx, const Array &w, const Array &dy, double tolerance) {
  int64_t tokens = x.shape[0], width = layer.width, vectors = layer.vectors, rows = layer.rows;
  int64_t numbers = layer.heads * layer.selected;
  Array values = pool;
  if (quantized())
    for (size_t i = 0; i < values.values.size(); ++i)
      values.values[i] *= scales.values[i / static_cast<size_t>(width)];
  Array y(x.shape), dx(x.shape), dw(w.shape), coef({tokens, layer.heads, layer.selected, rows, vectors});
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t s = 0; s < numbers * rows; ++s) {
      int64_t pair = t * numbers + s / rows, expert = static_cast<int64_t>(idx.values[pair]);
      if (expert < 0)
        continue;
      const double *row = &values.values[(expert * rows + s % rows) * vectors * width],
                   *v = row + (vectors - 1) * width;
      auto dot = [&](const double *vector, const Array &with) {
        double sum = 0;
        for (int64_t d = 0; d < width; ++d)
          sum += vector[d] * with.values[t * width + d];
        return sum;
      };
      double weight = w.values[pair], c = dot(v, dy), a = vectors > 1 ? dot(row, x) : 0;
      double u = vectors > 2 ? dot(row + width, x) : 1, value = vectors > 1 ? act(layer.activation, a) * u : 1;
      double da = vectors > 1 ? weight * slope(layer.activation, a) * u * c : 0,
             du = vectors > 2 ? weight * act(layer.activation, a) * c : 0;
      for (int64_t d = 0; d < width; ++d) {
        y.values[t * width + d] += weight * value * v[d];
        dx.values[t * width + d] += (vectors > 1 ? da * row[d] : 0) + (vectors > 2 ? du * row[width + d] : 0);
      }
      dw.values[pair] += value * c;
      double *out = &coef.values[(t * numbers * rows + s) * vectors];
      if (vectors > 1)
        out[0] = da;
      if (vectors > 2)
        out[1] = du;
      out[vectors - 1] = weight * value;
    }
  if (!compiled)
    return;
  TensorMap results = call(x, idx, w, dy);
  for (auto [name, expected] : {std::pair{"y", &y}, {"dx", &dx}, {"dw", &dw}, {"c", &coef}})
    if (!quantized() || expected == &y)
      EXPECT_TRUE(compiled->agrees(results, name, expected->shape, expected->values, tolerance)) << tokens << " tokens";
}

void MixOp::checkNothingSelected(int64_t tokens) {
  Array idx({tokens, layer.heads, layer.selected});
  std::fill(idx.values.begin(), idx.values.end(), -1);
  check(random({tokens, layer.width}, 1), idx, random(idx.shape, 3), random({tokens, layer.width}, 5), 0);
}

void MixOp::checkSameTwice(int64_t tokens) {
  std::vector<int64_t> pairs{tokens, layer.heads, layer.selected};
  auto once = [&] {
    return call(random({tokens, layer.width}, 1), randomExperts(pairs, layer.experts, 2), random(pairs, 3),
                random({tokens, layer.width}, 5));
  };
  TensorMap first = once(), second = once();
  EXPECT_EQ(first.size(), quantized() ? 1u : 4u);
  for (auto &[name, tensor] : first) {
    auto a = tensor.as<float>(), b = second.at(name).as<float>();
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size_bytes()), 0) << name;
  }
}

} // namespace peer::numerics
