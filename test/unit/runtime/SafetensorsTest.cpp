#include "model/Safetensors.h"

#include "TestSupport.h"

using namespace peer::runtime;

TEST(Safetensors, RoundTrip) {
  TemporaryFolder folder;
  TensorMap tensors;
  tensors.emplace("a.weight", floats({2, 3}, {1, 2, 3, 4, 5, 6}));
  tensors.emplace("b", integers({7, 8}));
  tensors.emplace("empty", floats({0, 5}, {}));
  tensors.emplace("scalar", floats({}, {42}));
  tensors.emplace("bytes", Tensor::zeros(DType::U8, {3}).value());
  ASSERT_OK(writeSafetensors(folder / "f", tensors, {{"model", "a \"quoted\" name"}}));
  Result<SafetensorsFile> file = SafetensorsFile::open(folder / "f");
  ASSERT_OK(file);
  EXPECT_EQ(file->metadata().at("model"), "a \"quoted\" name");
  EXPECT_EQ(file->tensors().size(), 5u);
  Tensor a = file->read("a.weight").value();
  EXPECT_EQ(a.shape(), (Shape{2, 3}));
  EXPECT_EQ(a.as<float>()[5], 6.0f);
  EXPECT_EQ(file->read("scalar")->as<float>()[0], 42.0f);
  EXPECT_EQ(file->read("b")->as<int32_t>()[1], 8);
  EXPECT_EQ(file->read("empty")->shape(), (Shape{0, 5}));
  // Data begins at a multiple of 8, wide types first.
  std::string bytes = readFile(folder / "f").value();
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  EXPECT_EQ(header % 8, 0u);
  EXPECT_EQ(file->tensors().at("bytes").end, bytes.size() - 8 - header);
}

TEST(Safetensors, NoTensorsAtAll) {
  TemporaryFolder folder;
  ASSERT_OK(writeSafetensors(folder / "f", TensorMap{}));
  EXPECT_TRUE(readSafetensors(folder / "f").value().empty());
}

TEST(Safetensors, ReadIntoChecksType) {
  TemporaryFolder folder;
  TensorMap tensors;
  tensors.emplace("a", floats({2}, {1, 2}));
  ASSERT_OK(writeSafetensors(folder / "f", tensors));
  SafetensorsFile file = SafetensorsFile::open(folder / "f").value();
  Tensor other = integers({0, 0, 0});
  EXPECT_EQ(errorOf(file.readInto("a", other)), concat(folder / "f", ": tensor \"a\" is f32 [2], expected i32 [3]"));
  EXPECT_EQ(errorOf(file.read("z")), concat(folder / "f", " has no tensor \"z\""));
}

TEST(Safetensors, TheSameNameTwiceIsNotWritten) {
  TemporaryFolder folder;
  Tensor tensor = floats({1}, {1});
  EXPECT_NE(errorOf(writeSafetensors(folder / "f", {{"a", &tensor}, {"a", &tensor}})).find("\"a\" is used twice"),
            std::string::npos);
  EXPECT_TRUE(folder.files().empty());
}

namespace {
struct Malformed {
  const char *name, *header;
  size_t dataBytes;
  const char *expected;
};
const Malformed kMalformed[] = {
    {"NotJson", "{nonsense", 0, "is not a safetensors file: its header is not valid JSON"},
    {"NotAnObject", "[1]", 0, "its header must be a JSON object"},
    {"NoDescription", R"({"a": 3})", 0, "tensor \"a\" must be described by dtype, shape and data_offsets"},
    {"UnknownDtype", R"({"a": {"dtype": "F31", "shape": [1], "data_offsets": [0, 4]}})", 4,
     "tensor \"a\" has the unknown dtype \"F31\""},
    {"NegativeSize", R"({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}})", 4,
     "must have a shape of non-negative integers"},
    {"FractionalSize", R"({"a": {"dtype": "F32", "shape": [1.5], "data_offsets": [0, 4]}})", 4,
     "must have a shape of non-negative integers"},
    {"OneOffset", R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}})", 4,
     "must have two non-negative integers as data_offsets"},
    {"ShapeOverflow", R"({"a": {"dtype": "F32", "shape": [4611686018427387904, 8], "data_offsets": [0, 4]}})", 4,
     "more bytes than 63 bits can count"},
    {"WrongSize", R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}})", 4,
     "is f32 [2], which takes 8 bytes, but its data offsets span 4"},
    {"Backwards", R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}})", 4, "which are out of range"},
    {"OutOfRange", R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [96, 100]}})", 4,
     "has the data offsets [96, 100], which are out of range"},
    {"Overlap",
     R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}})",
     8, "the data of tensors \"a\" and \"b\" overlap"},
    {"Gap",
     R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "b": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]}})",
     12, "4 bytes before tensor \"b\" belong to no tensor"},
    {"Tail", R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})", 9,
     "the last 5 bytes belong to no tensor"},
    {"TruncatedData", R"({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}})", 9,
     "is truncated: its tensors take 16 bytes, but only 9 follow"},
    {"Duplicate",
     R"({"a": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}, "a": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}})",
     0, "the name \"a\" appears twice in the header"},
    {"Metadata", R"({"__metadata__": {"a": 1}})", 0, "__metadata__ must be an object of strings"},
};
class SafetensorsMalformed : public testing::TestWithParam<Malformed> {};
} // namespace

TEST_P(SafetensorsMalformed, IsOneSentence) {
  TemporaryFolder folder;
  writeBytes(folder / "f", safetensorsBytes(GetParam().header, std::string(GetParam().dataBytes, 'x')));
  Result<SafetensorsFile> file = SafetensorsFile::open(folder / "f");
  ASSERT_FALSE(file.ok());
  EXPECT_TRUE(file.message().starts_with(folder / "f")) << file.message();
  EXPECT_NE(file.message().find(GetParam().expected), std::string::npos) << file.message();
}
INSTANTIATE_TEST_SUITE_P(All, SafetensorsMalformed, testing::ValuesIn(kMalformed),
                         [](const auto &info) { return info.param.name; });

TEST(Safetensors, EveryTruncationIsRefused) {
  TemporaryFolder folder;
  std::string bytes =
      safetensorsBytes(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", std::string(16, 'x'));
  for (size_t length = 0; length < bytes.size(); ++length) {
    writeBytes(folder / "f", bytes.substr(0, length));
    Result<SafetensorsFile> file = SafetensorsFile::open(folder / "f");
    ASSERT_FALSE(file.ok()) << length;
  }
  writeBytes(folder / "f", std::string(8, '\xff') + "{}");
  EXPECT_NE(errorOf(SafetensorsFile::open(folder / "f")).find("at most 100000000 are allowed"), std::string::npos);
}
