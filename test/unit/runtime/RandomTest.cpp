#include "model/Random.h"

#include "TestSupport.h"

#include <cmath>
#include <omp.h>

using namespace peer::runtime;

namespace {
Init normal(double mean, double std) {
  Init init;
  init.kind = Init::Kind::Normal;
  init.mean = mean;
  init.std = std;
  return init;
}
} // namespace

TEST(Random, TheSameAtAnyNumberOfThreads) {
  Tensor one = Tensor::zeros(DType::F32, {10001}).value(), four = Tensor::zeros(DType::F32, {10001}).value();
  int before = omp_get_max_threads();
  omp_set_num_threads(1);
  EXPECT_OK(fillRandom(one, normal(0, 1), RandomStream(7, "w")));
  omp_set_num_threads(4);
  EXPECT_OK(fillRandom(four, normal(0, 1), RandomStream(7, "w")));
  omp_set_num_threads(before);
  EXPECT_TRUE(std::equal(one.as<float>().begin(), one.as<float>().end(), four.as<float>().begin()));
}

TEST(Random, NormalMoments) {
  Tensor tensor = Tensor::zeros(DType::F32, {1'000'000}).value();
  EXPECT_OK(fillRandom(tensor, normal(3, 0.5), RandomStream(1, "w")));
  double sum = 0, squares = 0, fourth = 0, neighbours = 0, previous = 0;
  for (float value : tensor.as<float>()) {
    double z = (value - 3) / 0.5;
    sum += z;
    squares += z * z;
    fourth += z * z * z * z;
    neighbours += z * previous;
    previous = z;
  }
  EXPECT_NEAR(sum / 1e6, 0, 0.005);
  EXPECT_NEAR(squares / 1e6, 1, 0.01);
  EXPECT_NEAR(fourth / 1e6, 3, 0.05);
  EXPECT_NEAR(neighbours / 1e6, 0, 0.005);
}

TEST(Random, SeedsAndNamesDiffer) {
  EXPECT_NE(RandomStream(1, "a").bits(0), RandomStream(2, "a").bits(0));
  EXPECT_NE(RandomStream(1, "a").bits(0), RandomStream(1, "b").bits(0));
  EXPECT_EQ(RandomStream(1, "a").bits(5), RandomStream(1, "a").bits(5));
}

TEST(Random, UniformConstantAndIntegers) {
  Tensor tensor = Tensor::zeros(DType::BF16, {1000}).value();
  Init init;
  init.kind = Init::Kind::Uniform;
  init.low = -1;
  init.high = 1;
  EXPECT_OK(fillRandom(tensor, init, RandomStream(1, "w")));
  for (uint16_t bits : tensor.as<uint16_t>())
    EXPECT_LE(std::abs(bf16ToFloat(bits)), 1.0f);
  Tensor counts = integers({9, 9, 9});
  init.kind = Init::Kind::Constant;
  init.value = 4;
  EXPECT_OK(fillRandom(counts, init, RandomStream(1, "w")));
  EXPECT_EQ(counts.as<int32_t>()[2], 4);
  EXPECT_FALSE(fillRandom(counts, normal(0, 1), RandomStream(1, "w")).ok());
  bool seen[5] = {};
  Tensor drawn = Tensor::zeros(DType::I32, {200}).value();
  EXPECT_OK(fillUniformIntegers(drawn, 10, 15, RandomStream(1, "i")));
  for (int32_t value : drawn.as<int32_t>()) {
    ASSERT_TRUE(value >= 10 && value < 15);
    seen[value - 10] = true;
  }
  EXPECT_TRUE(seen[0] && seen[1] && seen[2] && seen[3] && seen[4]);
  EXPECT_FALSE(fillUniformIntegers(drawn, 3, 3, RandomStream(1, "i")).ok());
}
