// Descriptions made of tensor ops, functions and structured ops: results and every gradient, against central differences of the
// same formulas in double precision.
#include "NNOpTest.h"

#include <cmath>
#include <functional>
#include <numeric>

namespace peer::numerics {
namespace {

using namespace reference;
using Arrays = std::map<std::string, Array>;

struct TensorOps : ::testing::TestWithParam<Code> {
  /// Checks `f` and `g`, its gradient, of a description: `inputs` are its arguments and parameters.
  void check(const std::string &text, Arrays inputs, const std::function<Array(const Arrays &)> &formula) {
    auto compiled = Compiled::compile(text, GetParam());
    ASSERT_TRUE(compiled && compiled->initParameters(5));
    runtime::TensorMap given;
    for (const auto &[name, array] : inputs)
      given.emplace(name, toTensor(array));
    std::vector<std::string> names;
    for (const auto &[name, array] : inputs)
      names.push_back("d" + name);
    for (const auto &[name, tensor] : compiled->session().parameters()) {
      inputs.emplace(name, toArray(tensor));
      names.push_back("grad." + name);
    }
    Array y = formula(inputs), dy = random(y.shape, 9);
    EXPECT_TRUE(compiled->agrees(compiled->call("f", given), "y", y.shape, y.values, 3e-6));
    given.emplace("dy", toTensor(dy));
    runtime::TensorMap gradients = compiled->call("g", given);
    ASSERT_EQ(gradients.size(), names.size());
    auto loss = [&] {
      Array out = formula(inputs);
      return std::inner_product(out.values.begin(), out.values.end(), dy.values.begin(), 0.0);
    };
    for (const std::string &name : names) {
      Array &array = inputs.at(name.substr(name[0] == 'd' ? 1 : 5));
      std::vector<double> expected;
      double largest = 0;
      for (double &element : array.values) {
        expected.push_back(slope(element, loss));
        largest = std::max(largest, std::abs(expected.back()));
      }
      EXPECT_GT(largest, 1e-3) << name;
      std::vector<double> tolerances(expected.size(), 2e-5 * largest);
      EXPECT_TRUE(compiled->agrees(gradients, name, array.shape, expected, tolerances)) << name;
    }
  }
};

const char *const kArranged = R"(
func.func @f(%x: tensor<?x6xf32> {peer.name = "x"}) -> (tensor<?x4xf32> {peer.name = "y"}) {
  %w = peer.param "w" normal(0.5) : tensor<6x8xf32>
  %b = peer.param "b" normal(0.5) : tensor<8xf32>
  %l = peer.linear %x, %w, %b : tensor<?x6xf32>, tensor<6x8xf32>, tensor<8xf32>
  %t = peer.activation %l tanh : tensor<?x8xf32>
  %g = peer.activation %l sigmoid : tensor<?x8xf32>
  %c = peer.concat %t, %g, %l along 1 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>
  %r = peer.reshape %c to tensor<?x6x4xf32> : tensor<?x24xf32>
  %p = peer.transpose %r [0, 2, 1] : tensor<?x6x4xf32>
  %s = peer.softmax %p : tensor<?x4x6xf32>
  %m = peer.reduce max %p along [2] : tensor<?x4x6xf32>
  %a = peer.reduce mean %p along [1, 2] : tensor<?x4x6xf32>
  %q = peer.slice %s along 2 from 1 size 3 : tensor<?x4x6xf32>
  %u = peer.pad %q along 2 low 2 high 1 : tensor<?x4x3xf32>
  %v = arith.mulf %u, %p : tensor<?x4x6xf32>
  %k = peer.reduce sum %v along [2] : tensor<?x4x6xf32>
  %o = peer.broadcast %a like %m along [1] : tensor<?xf32>, tensor<?x4xf32>
  %e = math.exp %o : tensor<?x4xf32>
  %y0 = arith.mulf %k, %m : tensor<?x4xf32>
  %y = arith.addf %y0, %e : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
peer.gradient @g of @f
)";

Array arranged(const Arrays &in) {
  const Array &b = in.at("b");
  Array l = linear(in.at("x"), false, in.at("w"), false), y({l.rows(), 4});
  for (int64_t t = 0; t < l.rows(); ++t) {
    double c[24], mean = 0;
    for (int64_t j = 0; j < 8; ++j) {
      double v = l.at(t, j) + b.values[j];
      c[j] = std::tanh(v), c[8 + j] = 1 / (1 + std::exp(-v)), c[16 + j] = v;
    }
    for (double v : c)
      mean += v / 24;
    for (int64_t j = 0; j < 4; ++j) {
      double p[6], total = 0, sum = 0, most = -INFINITY;
      for (int64_t i = 0; i < 6; ++i) {
        p[i] = c[4 * i + j];
        total += std::exp(p[i]);
        most = std::max(most, p[i]);
      }
      for (int64_t i = 2; i < 5; ++i)
        sum += std::exp(p[i - 1]) / total * p[i];
      y.at(t, j) = sum * most + std::exp(mean);
    }
  }
  return y;
}

TEST_P(TensorOps, Arranged) {
  for (int64_t tokens : {1, 5})
    check(kArranged, {{"x", random({tokens, 6}, 3, -1.5, 1.5)}}, arranged);
}

const char *const kFunctions = R"(
!t = tensor<?x8xf32>
func.func @f(%x: !t {peer.name = "x"}) -> (!t {peer.name = "y"}) {
  %a = arith.mulf %x, %x : !t
  %e = math.exp %x : !t
  %p = arith.addf %a, %e : !t
  %0 = math.sqrt %p : !t          %1 = math.rsqrt %p : !t
  %2 = math.log %p : !t           %3 = math.log2 %p : !t         %4 = math.log1p %p : !t
  %5 = math.exp2 %x : !t          %6 = math.expm1 %x : !t
  %7 = math.sin %x : !t           %8 = math.cos %x : !t
  %9 = math.erf %x : !t           %10 = math.tanh %x : !t        %11 = math.absf %x : !t
  %12 = arith.maximumf %7, %x : !t  %13 = arith.minimumf %8, %x : !t
  %c = arith.cmpf ogt, %x, %8 : !t
  %14 = arith.select %c, %a, %9 : tensor<?x8xi1>, !t
  %s0 = arith.addf %0, %1 : !t    %s1 = arith.subf %2, %3 : !t   %s2 = arith.mulf %4, %5 : !t
  %s3 = arith.addf %6, %7 : !t    %s4 = arith.mulf %8, %9 : !t   %s5 = arith.addf %10, %11 : !t
  %s6 = arith.mulf %12, %13 : !t
  %u0 = arith.addf %s0, %s1 : !t  %u1 = arith.addf %s2, %s3 : !t %u2 = arith.addf %s4, %s5 : !t
  %u3 = arith.addf %s6, %14 : !t
  %v0 = arith.addf %u0, %u1 : !t  %v1 = arith.addf %u2, %u3 : !t
  %y = arith.addf %v0, %v1 : !t
  return %y : !t
}
peer.gradient @g of @f
)";

TEST_P(TensorOps, Functions) {
  check(kFunctions, {{"x", random({5, 8}, 4, -1.5, 1.5)}}, [](const Arrays &in) {
    Array y = in.at("x");
    for (double &v : y.values) {
      double x = v, p = x * x + std::exp(x), s = std::sin(x), c = std::cos(x);
      v = std::sqrt(p) + 1 / std::sqrt(p) + std::log(p) - std::log2(p) + std::log1p(p) * std::exp2(x) + std::expm1(x) +
          s + c * std::erf(x) + std::tanh(x) + std::abs(x) + std::max(s, x) * std::min(c, x) +
          (x > c ? x * x : std::erf(x));
    }
    return y;
  });
}

// Elementwise with a broadcast, and a product; what is summed up by a gradient is what an operand lacks.
const char *const kStructured = R"(
func.func @f(%x: tensor<?x6xf32> {peer.name = "x"}, %z: tensor<6x3xf32> {peer.name = "z"}) -> (tensor<?x3xf32> {peer.name = "y"}) {
  %w = peer.param "w" normal(0.5) : tensor<6xf32>
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %n = tensor.dim %x, %c0 : tensor<?x6xf32>
  %e = tensor.empty(%n) : tensor<?x6xf32>
  %h = linalg.generic {indexing_maps = [affine_map<(t, d) -> (t, d)>, affine_map<(t, d) -> (d)>, affine_map<(t, d) -> (t, d)>],
      iterator_types = ["parallel", "parallel"]} ins(%x, %w : tensor<?x6xf32>, tensor<6xf32>) outs(%e : tensor<?x6xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %0 = arith.mulf %a, %b : f32
      %1 = math.tanh %0 : f32
      %2 = arith.maximumf %1, %a : f32
      linalg.yield %2 : f32
  } -> tensor<?x6xf32>
  %e2 = tensor.empty(%n) : tensor<?x3xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e2 : tensor<?x3xf32>) -> tensor<?x3xf32>
  %y = linalg.matmul ins(%h, %z : tensor<?x6xf32>, tensor<6x3xf32>) outs(%f : tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}
peer.gradient @g of @f
)";

TEST_P(TensorOps, Structured) {
  check(kStructured, {{"x", random({5, 6}, 3)}, {"z", random({6, 3}, 4)}}, [](const Arrays &in) {
    Array h = in.at("x");
    for (size_t i = 0; i < h.values.size(); ++i)
      h.values[i] = std::max(std::tanh(h.values[i] * in.at("w").values[i % 6]), h.values[i]);
    return linear(h, false, in.at("z"), false);
  });
}

// Equal elements share the gradient of the largest; among numbers that are none, it is none.
TEST_P(TensorOps, MaxOfEqualElements) {
  auto compiled = Compiled::compile(R"(
func.func @f(%x: tensor<?x4xf32> {peer.name = "x"}) -> (tensor<?xf32> {peer.name = "y"}) {
  %y = peer.reduce max %x along [1] : tensor<?x4xf32>
  return %y : tensor<?xf32>
}
peer.gradient @g of @f
)",
                                    GetParam());
  ASSERT_TRUE(compiled);
  Array x({3, 4}), dy({3});
  x.values = {2, -1, 2, 0, -INFINITY, -INFINITY, -INFINITY, -INFINITY, 1, NAN, 1, 1};
  dy.values = {3, 4, 5};
  runtime::TensorMap inputs;
  inputs.emplace("x", toTensor(x));
  EXPECT_TRUE(compiled->agrees(compiled->call("f", inputs), "y", {3}, {2, -INFINITY, NAN}, 0));
  inputs.emplace("dy", toTensor(dy));
  Array dx = toArray(compiled->call("g", inputs).at("dx"));
  EXPECT_EQ(std::vector<double>(dx.values.begin(), dx.values.begin() + 8),
            (std::vector<double>{1.5, 0, 1.5, 0, 1, 1, 1, 1}));
  EXPECT_TRUE(std::isnan(dx.values[8]));
}

INSTANTIATE_TEST_SUITE_P(, TensorOps, ::testing::Values(Code::Vectors, Code::Loops, Code::Gpu, Code::GpuLoops),
                         [](const auto &info) { return codeName(info.param, true); });

} // namespace
} // namespace peer::numerics
