// Functions that become instructions or polynomials on a GPU, against libm in double precision.
#include "CompiledTest.h"

#include <cmath>
#include <limits>
#include <random>

using namespace peer::runtime;

namespace peer::numerics {
namespace {

struct Function {
  const char *op;
  double (*exact)(double);
  double ulps; // allowed distance, in units of the result's last place
};

/// Results of one elementwise op on a GPU.
std::vector<float> evaluate(const std::string &op, const std::vector<float> &x) {
  std::string text = R"(
func.func @f(%x: tensor<?xf32> {peer.name = "x"}) -> (tensor<?xf32> {peer.name = "y"}) {
  %y = math.)" + op + R"( %x : tensor<?xf32>
  return %y : tensor<?xf32>
}
)";
  auto compiled = Compiled::compile(text, Code::Gpu);
  if (!compiled)
    return {};
  Tensor input = std::move(*Tensor::zeros(DType::F32, {int64_t(x.size())}));
  std::copy(x.begin(), x.end(), input.as<float>().begin());
  TensorMap inputs;
  inputs.emplace("x", std::move(input));
  TensorMap results = compiled->call("f", inputs);
  if (results.empty())
    return {};
  auto y = results.at("y").as<float>();
  return {y.begin(), y.end()};
}

/// Distance of `actual` from `exact`, less `allowance`, in units of the last place of an f32 near `exact`.
double ulps(float actual, double exact, double allowance) {
  int exponent;
  std::frexp(std::max(std::abs(exact), double(std::numeric_limits<float>::min())), &exponent);
  return (std::abs(actual - exact) - allowance) / std::ldexp(1.0, exponent - 24);
}

/// The same number of values in each binade from 2^low to 2^high, both signs, and 0.
std::vector<float> spread(int low, int high, int perBinade) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> mantissa(1, 2);
  std::vector<float> values{0.0f, -0.0f};
  for (int exponent = low; exponent < high; ++exponent)
    for (int i = 0; i < perBinade; ++i)
      values.push_back(std::ldexp(i % 2 ? -mantissa(random) : mantissa(random), exponent));
  return values;
}

class GpuAngles : public testing::TestWithParam<Function> {};

// Up to 2^20, about 1e6 radians; and next to multiples of a quarter turn, where one of both functions vanishes.
TEST_P(GpuAngles, AgreeWithLibm) {
  Function function = GetParam();
  std::vector<float> x = spread(-20, 20, 200);
  for (int quarter = -2000; quarter <= 2000; ++quarter)
    x.push_back(float(quarter * M_PI_2));
  for (double quarter : {1e4, 123456.0, 636619.0})
    x.push_back(float(quarter * M_PI_2));
  std::vector<float> y = evaluate(function.op, x);
  ASSERT_EQ(y.size(), x.size());
  for (size_t i = 0; i < x.size(); ++i)
    // Beside a root the error is that of the angle less its quarter turns, which are taken off in f64.
    EXPECT_LE(ulps(y[i], function.exact(x[i]), std::ldexp(std::abs(x[i]), -52)), function.ulps)
        << function.op << "(" << x[i] << ") = " << y[i];
}

TEST_P(GpuAngles, OfNoNumberAreNone) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> y = evaluate(GetParam().op, {nan, 1.0f});
  ASSERT_EQ(y.size(), 2u);
  EXPECT_TRUE(std::isnan(y[0]) && !std::isnan(y[1])) << y[0] << " " << y[1];
}

INSTANTIATE_TEST_SUITE_P(Gpu, GpuAngles, testing::Values(Function{"sin", std::sin, 2}, Function{"cos", std::cos, 2}),
                         [](auto &info) { return info.param.op; });

class GpuExact : public testing::TestWithParam<Function> {};

// Correctly rounded, or exact by their nature.
TEST_P(GpuExact, AgreesWithLibm) {
  Function function = GetParam();
  std::vector<float> x = spread(-30, 30, 40);
  for (float v : {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 8388607.5f, -8388607.5f, 16777216.0f, 1.0f, 4.0f, 1e-40f})
    x.push_back(v);
  std::vector<float> y = evaluate(function.op, x);
  ASSERT_EQ(y.size(), x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    float exact = float(function.exact(x[i]));
    bool same = std::isnan(exact) ? std::isnan(y[i]) : y[i] == exact && std::signbit(y[i]) == std::signbit(exact);
    EXPECT_TRUE(same) << function.op << "(" << x[i] << ") = " << y[i] << ", not " << exact;
  }
}

INSTANTIATE_TEST_SUITE_P(Gpu, GpuExact,
                         testing::Values(Function{"sqrt", std::sqrt, 0}, Function{"floor", std::floor, 0},
                                         Function{"ceil", std::ceil, 0}, Function{"absf", std::fabs, 0},
                                         Function{"roundeven", std::nearbyint, 0}),
                         [](auto &info) { return info.param.op; });

class GpuPolynomials : public testing::TestWithParam<Function> {};

// What upstream's polynomials make of functions that the kernels use.
TEST_P(GpuPolynomials, AreWithinAFewUnits) {
  Function function = GetParam();
  std::vector<float> x = spread(-10, 4, 100);
  if (std::string(function.op) == "log")
    for (float &v : x)
      v = std::abs(v) + 1e-6f;
  std::vector<float> y = evaluate(function.op, x);
  ASSERT_EQ(y.size(), x.size());
  for (size_t i = 0; i < x.size(); ++i)
    EXPECT_LE(ulps(y[i], function.exact(x[i]), 0), function.ulps) << function.op << "(" << x[i] << ") = " << y[i];
}

INSTANTIATE_TEST_SUITE_P(Gpu, GpuPolynomials,
                         testing::Values(Function{"exp", std::exp, 4}, Function{"log", std::log, 4},
                                         Function{"tanh", std::tanh, 8}, Function{"erf", std::erf, 8}),
                         [](auto &info) { return info.param.op; });

} // namespace
} // namespace peer::numerics
