#include "TestSupport.h"
#include "core/Memory.h"

#include <cmath>
#include <limits>

using namespace peer::runtime;

TEST(Tensor, ZerosIsAlignedAndZero) {
  for (Shape shape : {Shape{}, Shape{0, 3}, Shape{7}, Shape{3, 1024, 1024}}) {
    Result<Tensor> tensor = Tensor::zeros(DType::F32, shape);
    ASSERT_OK(tensor);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor->data()) % 64, 0u);
    for (float value : tensor->as<float>())
      ASSERT_EQ(value, 0.0f);
  }
}

TEST(Tensor, TablesStartOnHugePages) {
  Result<Tensor> tensor = Tensor::zeros(DType::F32, {1024, 1024});
  ASSERT_OK(tensor);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor->data()) % (2 << 20), 0u);
}

TEST(Tensor, TooLargeSaysHowMuch) {
  Result<Tensor> tensor = Tensor::zeros(DType::F32, {int64_t{1} << 40}, "the table");
  ASSERT_FALSE(tensor.ok());
  EXPECT_NE(tensor.message().find("the table (f32 [1099511627776]) needs 4.4 TB, "), std::string::npos)
      << tensor.message();
  EXPECT_NE(tensor.message().find("available"), std::string::npos);
}

TEST(Tensor, OverflowAndNegativeSizesAreRefused) {
  EXPECT_FALSE(Tensor::zeros(DType::F32, {int64_t{1} << 40, int64_t{1} << 40}).ok());
  EXPECT_FALSE(Tensor::zeros(DType::F32, {-2}).ok());
  EXPECT_EQ(byteCount(DType::BF16, {0, int64_t{1} << 62}).ok(), false);
  EXPECT_EQ(*byteCount(DType::BF16, {0, 5}), 0);
}

TEST(Tensor, CloneAndMove) {
  Tensor tensor = floats({2}, {1, 2});
  Tensor copy = tensor.clone().value();
  tensor.as<float>()[0] = 9;
  EXPECT_EQ(copy.as<float>()[0], 1.0f);
  Tensor moved = std::move(tensor);
  EXPECT_EQ(moved.as<float>()[0], 9.0f);
  EXPECT_EQ(tensor.elements(), 0);
  moved.clear();
  EXPECT_EQ(moved.as<float>()[1], 0.0f);
}

TEST(DType, NamesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(DType::F8E4M3); ++i) {
    auto dtype = static_cast<DType>(i);
    EXPECT_EQ(parseDType(dtypeName(dtype)), dtype);
    EXPECT_EQ(parseSafetensorsDType(safetensorsName(dtype)), dtype);
  }
  EXPECT_FALSE(parseDType("f31"));
  // Types that files may hold, but nothing computes with.
  for (int i = static_cast<int>(DType::F8E5M2); i <= static_cast<int>(DType::F4); ++i) {
    auto dtype = static_cast<DType>(i);
    EXPECT_EQ(parseSafetensorsDType(safetensorsName(dtype)), dtype);
    EXPECT_FALSE(parseDType(dtypeName(dtype)));
  }
  EXPECT_EQ(*byteCount(DType::F4, {3, 2}), 3);
  EXPECT_EQ(*byteCount(DType::F6E2M3, {4}), 3);
  EXPECT_FALSE(byteCount(DType::F4, {3}).ok());
  EXPECT_EQ(*byteCount(DType::F4, {3, 0}), 0);
}

TEST(DType, Bf16RoundsToNearestEven) {
  EXPECT_EQ(floatToBf16(1.0f), 0x3f80);
  EXPECT_EQ(floatToBf16(1.00390625f), 0x3f80); // half-way, down to even
  EXPECT_EQ(floatToBf16(1.01171875f), 0x3f82); // half-way, up to even
  EXPECT_EQ(bf16ToFloat(0xc000), -2.0f);
  EXPECT_TRUE(std::isnan(bf16ToFloat(floatToBf16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(Memory, BytesText) {
  EXPECT_EQ(bytesText(1), "1 byte");
  EXPECT_EQ(bytesText(999), "999 bytes");
  EXPECT_EQ(bytesText(12'300'000'000), "12.3 GB");
  EXPECT_EQ(bytesText(999'990'000), "1.0 GB");
  EXPECT_GT(availableMemory(), 0u);
}
