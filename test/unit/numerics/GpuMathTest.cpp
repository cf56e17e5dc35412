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

/// One unit in the last place of an f32 near `value`.
double ulp(double value) {
  int exponent;
  std::frexp(std::max(std::abs(value), double(std::numeric_limits<float>::min())), &exponent);
  return std::ldexp(1.0, exponent - 24);
}

/// Calls one elementwise op on a GPU and holds each result against what is expected. Returns the results; none on an error.
std::vector<float> check(const std::string &op, const std::vector<float> &x, const std::vector<double> &expected,
                         const std::vector<double> &tolerances) {
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
  EXPECT_TRUE(compiled->agrees(results, "y", {int64_t(x.size())}, expected, tolerances)) << op;
  auto y = results.at("y").as<float>();
  return {y.begin(), y.end()};
}

/// To within `function.ulps`, and `spare` * |x| more.
void check(const Function &function, const std::vector<float> &x, double spare = 0) {
  std::vector<double> expected, tolerances;
  for (float v : x) {
    expected.push_back(function.exact(v));
    tolerances.push_back(function.ulps * ulp(expected.back()) + spare * std::abs(v));
  }
  check(function.op, x, expected, tolerances);
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
  std::vector<float> x = spread(-20, 20, 200);
  for (int quarter = -2000; quarter <= 2000; ++quarter)
    x.push_back(float(quarter * M_PI_2));
  for (double quarter : {1e4, 123456.0, 636619.0})
    x.push_back(float(quarter * M_PI_2));
  // Beside a root the error is that of the angle less its quarter turns, which are taken off in f64.
  check(GetParam(), x, std::ldexp(1.0, -52));
}

TEST_P(GpuAngles, OfNoNumberAreNone) { check(GetParam(), {std::numeric_limits<float>::quiet_NaN(), 1.0f}); }

INSTANTIATE_TEST_SUITE_P(Gpu, GpuAngles, testing::Values(Function{"sin", std::sin, 2}, Function{"cos", std::cos, 2}),
                         [](auto &info) { return info.param.op; });

class GpuExact : public testing::TestWithParam<Function> {};

// Correctly rounded, or exact by their nature; zeros have the right sign.
TEST_P(GpuExact, AgreesWithLibm) {
  Function function = GetParam();
  std::vector<float> x = spread(-30, 30, 40);
  for (float v : {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 8388607.5f, -8388607.5f, 16777216.0f, 1.0f, 4.0f, 1e-40f})
    x.push_back(v);
  std::vector<double> exact;
  for (float v : x)
    exact.push_back(float(function.exact(v)));
  std::vector<float> y = check(function.op, x, exact, std::vector<double>(x.size()));
  ASSERT_EQ(y.size(), x.size());
  for (size_t i = 0; i < x.size(); ++i)
    EXPECT_TRUE(std::isnan(exact[i]) || std::signbit(y[i]) == std::signbit(exact[i]))
        << function.op << "(" << x[i] << ")";
}

INSTANTIATE_TEST_SUITE_P(Gpu, GpuExact,
                         testing::Values(Function{"sqrt", std::sqrt, 0}, Function{"floor", std::floor, 0},
                                         Function{"ceil", std::ceil, 0}, Function{"absf", std::fabs, 0},
                                         Function{"roundeven", std::nearbyint, 0}),
                         [](auto &info) { return info.param.op; });

class GpuPolynomials : public testing::TestWithParam<Function> {};

// What upstream's polynomials make of functions that the kernels use.
TEST_P(GpuPolynomials, AreWithinAFewUnits) {
  std::vector<float> x = spread(-10, 4, 100);
  if (std::string(GetParam().op) == "log")
    for (float &v : x)
      v = std::abs(v) + 1e-6f;
  check(GetParam(), x);
}

INSTANTIATE_TEST_SUITE_P(Gpu, GpuPolynomials,
                         testing::Values(Function{"exp", std::exp, 4}, Function{"log", std::log, 4},
                                         Function{"tanh", std::tanh, 8}, Function{"erf", std::erf, 8}),
                         [](auto &info) { return info.param.op; });

} // namespace
} // namespace peer::numerics
