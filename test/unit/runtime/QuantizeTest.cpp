// Tables as int8: values, refusals, pieces; vectors in few bits.
#include "commands/Quantize.h"
#include "TestSupport.h"
#include "convert/Rounding.h"

#include <cmath>
#include <random>

using namespace peer::runtime;

namespace {
class Quantize : public testing::Test {
protected:
  void write(TensorMap tensors) { ASSERT_OK(writeSafetensors(folder / "w", tensors, {{"step", "7"}})); }
  void writeTable(Shape shape, const std::vector<float> &values) {
    TensorMap tensors;
    tensors.emplace("t", floats(std::move(shape), values));
    write(std::move(tensors));
  }
  std::string error(const std::vector<std::string> &tables) {
    return errorOf(quantizeFile(folder / "w", tables, folder / "q"));
  }

  TemporaryFolder folder;
};
} // namespace

TEST_F(Quantize, ValuesAndScales) {
  TensorMap tensors;
  // 63.5 and 62.5 lie between two numbers: the even one is taken. A vector of zeros, and one that is too small for a scale.
  tensors.emplace("t", floats({2, 2, 3}, {127, 63.5f, -62.5f, 0, 0, 0, -254, 2, 3, 1e-45f, 0, -1e-45f}));
  tensors.emplace("u", floats({2}, {1, 2}));
  tensors.emplace("a", integers({5}));
  write(std::move(tensors));
  Result<QuantizeSummary> summary = quantizeFile(folder / "w", {"t"}, folder / "q");
  ASSERT_OK(summary);
  EXPECT_EQ(summary->before, 48u);
  EXPECT_EQ(summary->after, 28u);
  Result<SafetensorsFile> file = SafetensorsFile::open(folder / "q");
  ASSERT_OK(file);
  EXPECT_EQ(file->tensors().size(), 4u);
  EXPECT_EQ(file->metadata().at("step"), "7");
  Tensor t = file->read("t").value(), scale = file->read("t.scale").value();
  EXPECT_EQ(t.dtype(), DType::I8);
  EXPECT_EQ(t.shape(), (Shape{2, 2, 3}));
  EXPECT_EQ(scale.shape(), (Shape{2, 2}));
  auto bytes = t.as<int8_t>();
  EXPECT_EQ(std::vector<int8_t>(bytes.begin(), bytes.end()),
            (std::vector<int8_t>{127, 64, -62, 0, 0, 0, -127, 1, 2, 0, 0, 0}));
  auto factors = scale.as<float>();
  EXPECT_EQ(std::vector<float>(factors.begin(), factors.end()), (std::vector<float>{1, 1, 2, 1}));
  EXPECT_EQ(file->read("u")->as<float>()[1], 2.0f);
  EXPECT_EQ(file->read("a")->as<int32_t>()[0], 5);
}

TEST_F(Quantize, BF16) {
  Tensor table = Tensor::zeros(DType::BF16, {1, 1, 2}).value();
  table.as<uint16_t>()[0] = floatToBf16(1);
  table.as<uint16_t>()[1] = floatToBf16(-0.5f);
  TensorMap tensors;
  tensors.emplace("t", std::move(table));
  write(std::move(tensors));
  ASSERT_OK(quantizeFile(folder / "w", {"t"}, folder / "w")); // over itself
  TensorMap result = readSafetensors(folder / "w").value();
  EXPECT_EQ(result.at("t").as<int8_t>()[1], -64); // -63.5
  EXPECT_EQ(result.at("t.scale").as<float>()[0], 1.0f / 127);
}

TEST_F(Quantize, TablesOfSeveralPieces) {
  // 5 rows of 2 MiB vectors and 16 MiB at once: more than one piece.
  constexpr int64_t kWidth = 1 << 19;
  Tensor table = Tensor::zeros(DType::F32, {5, 2, kWidth}).value();
  for (int64_t v = 0; v < 10; ++v) {
    table.as<float>()[static_cast<size_t>(v * kWidth)] = static_cast<float>(v + 1);
    table.as<float>()[static_cast<size_t>((v + 1) * kWidth - 1)] = -static_cast<float>(v + 1) / 2;
  }
  TensorMap tensors;
  tensors.emplace("t", std::move(table));
  write(std::move(tensors));
  ASSERT_OK(quantizeFile(folder / "w", {"t"}, folder / "q"));
  TensorMap result = readSafetensors(folder / "q").value();
  for (int64_t v = 0; v < 10; ++v) {
    EXPECT_EQ(result.at("t.scale").as<float>()[static_cast<size_t>(v)], static_cast<float>(v + 1) / 127);
    EXPECT_EQ(result.at("t").as<int8_t>()[static_cast<size_t>(v * kWidth)], 127);
    EXPECT_NEAR(result.at("t").as<int8_t>()[static_cast<size_t>((v + 1) * kWidth - 1)], -63.5, 0.5);
  }
}

TEST_F(Quantize, EmptyTables) {
  writeTable({0, 2, 4}, {});
  EXPECT_EQ(error({"t"}), concat(folder / "w", ": tensor \"t\" is f32 [0, 2, 4], which has no elements to quantize"));
}

TEST_F(Quantize, Refusals) {
  TensorMap tensors;
  tensors.emplace("t", floats({1, 1, 2}, {1, 2}));
  tensors.emplace("matrix", floats({1, 2}, {1, 2}));
  tensors.emplace("scaled", floats({1, 1, 2}, {1, 2}));
  tensors.emplace("scaled.scale", floats({1, 1}, {1}));
  tensors.emplace("ids", Tensor::zeros(DType::I32, {1, 1, 1}).value());
  tensors.emplace("infinite", floats({2, 2, 1}, {1, 2, 3, INFINITY}));
  tensors.emplace("nan", floats({1, 1, 1}, {NAN}));
  write(std::move(tensors));
  std::string file = folder / "w";
  EXPECT_EQ(error({"z"}), concat(file, " has no tensor \"z\""));
  EXPECT_EQ(error({"t", "t"}), "tensor \"t\" is named twice");
  std::string wanted = ", expected a table of f32 or bf16: rows x vectors x width";
  EXPECT_EQ(error({"matrix"}), concat(file, ": tensor \"matrix\" is f32 [1, 2]", wanted));
  EXPECT_EQ(error({"ids"}), concat(file, ": tensor \"ids\" is i32 [1, 1, 1]", wanted));
  EXPECT_EQ(error({"scaled"}), concat(file, " has a tensor \"scaled.scale\" already"));
  EXPECT_EQ(error({"t", "infinite"}), concat(file, ": tensor \"infinite\" holds a value that is not finite in row 1"));
  EXPECT_EQ(error({"nan"}), concat(file, ": tensor \"nan\" holds a value that is not finite in row 0"));
  EXPECT_EQ(folder.files(), std::vector<std::string>{"w"});
}

TEST(Rounding, FP8IsTheNearest) {
  // Whole, between two neighbours (the even one), between those below 2^-6, beyond the largest, and none.
  for (auto [value, bits] : {std::pair(1.0f, 0x38),
                             {-1.0f, 0xb8},
                             {448.0f, 0x7e},
                             {464.5f, 0x7e},
                             {-1e9f, 0xfe},
                             {1.0625f, 0x38},
                             {1.1875f, 0x3a},
                             {1.9375f, 0x40},
                             {15.5f, 0x58},
                             {0.0f, 0x00},
                             {-0.0f, 0x80},
                             {0x1p-9f, 0x01},
                             {0x1p-10f, 0x00},
                             {0x1.8p-9f, 0x02},
                             {0x1.fp-7f, 0x08},
                             {NAN, 0x7f}})
    EXPECT_EQ(floatToFP8(value), bits) << value;
  Rounding rounding{8, 32, true};
  std::vector<float> vector(64, 0.5f);
  vector[0] = -3;
  vector[40] = 56;
  EXPECT_EQ(rounding.scales(vector), (std::vector<float>{3 / 448.0f, 0.125f}));
  std::vector<int8_t> bytes = rounding.bytes(vector, rounding.scales(vector));
  EXPECT_EQ(bytes[0], static_cast<int8_t>(0xfe));
  EXPECT_EQ(bytes[40], 0x7e);
  EXPECT_EQ(bytes[41], 0x48); // 4
  EXPECT_FALSE((Rounding{4, 0, true}.fits(64)));
}

TEST(Rounding, IsAtMostHalfAStep) {
  std::minstd_rand random(1);
  std::normal_distribution<float> normal;
  for (Rounding rounding : {Rounding{8, 0}, Rounding{8, 32}, Rounding{4, 0}, Rounding{4, 32}, Rounding{4, 96}}) {
    std::vector<float> vector(96);
    for (float &value : vector)
      value = normal(random);
    // A group of zeros, as of what was never trained.
    std::fill_n(vector.begin() + 32, 32, 0.0f);
    std::vector<float> scales = rounding.scales(vector);
    std::vector<int8_t> bytes = rounding.bytes(vector, scales);
    ASSERT_EQ(scales.size(), rounding.group ? static_cast<size_t>(96 / rounding.group) : 1u);
    ASSERT_EQ(bytes.size(), rounding.bits == 4 ? 48u : 96u);
    EXPECT_EQ(rounding.shapeOf({5, 96}, false), (Shape{5, static_cast<int64_t>(bytes.size())}));
    for (size_t i = 0; i < vector.size(); ++i) {
      int number = bytes[rounding.bits == 4 ? i / 32 * 16 + i % 16 : i];
      if (rounding.bits == 4)
        number = i % 32 < 16 ? static_cast<int8_t>(number << 4) >> 4 : number >> 4;
      float scale = scales[i * scales.size() / vector.size()];
      EXPECT_LE(std::abs(static_cast<float>(number) * scale - vector[i]), scale * 0.500001f)
          << rounding.bits << " " << i;
      EXPECT_LE(std::abs(number), rounding.bits == 4 ? 7 : 127);
    }
  }
  EXPECT_TRUE((Rounding{8, 0}.fits(37)));
  EXPECT_FALSE((Rounding{4, 0}.fits(48)));
  EXPECT_FALSE((Rounding{8, 64}.fits(96)));
  EXPECT_FALSE((Rounding{8, 16}.fits(96)));
  EXPECT_FALSE((Rounding{5, 0}.fits(96)));
}
