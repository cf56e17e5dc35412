#include "model/Manifest.h"

#include "TestSupport.h"

using namespace peer::runtime;
using nlohmann::json;

TEST(Manifest, Parses) {
  Result<Manifest> manifest = parseManifest(testManifest().dump(), "M");
  ASSERT_OK(manifest);
  EXPECT_EQ(manifest->parameters.size(), 1u);
  EXPECT_EQ(manifest->findGroup("default")->learningRate, 0.5);
  const Entry *scale = manifest->findEntry("scale");
  ASSERT_TRUE(scale);
  EXPECT_TRUE(scale->dynamic);
  EXPECT_EQ(scale->multipleOf, 2);
  EXPECT_EQ(scale->arguments[0].shape, (Shape{kDynamic, 4}));
  EXPECT_EQ(scale->kernels[1].bytesAt(10), 336);
  EXPECT_EQ(manifest->findEntry("sum")->arguments[0].range, (std::array<int64_t, 2>{0, 256}));
  EXPECT_EQ(errorOf(manifest->requireEntry("layer", "M")),
            "M has no entry \"layer\" (it has: scale, sum, greedy, liar)");
}

namespace {
struct Damage {
  const char *name, *pointer, *value, *expected; // value "": remove
};
const Damage kDamages[] = {
    {"Format", "/format", "2", "it has format 2, and this runtime reads format 1"},
    {"GpuWithoutArch", "/target/device", "\"cuda\"", "target: \"arch\" is missing"},
    {"NoEntries", "/entries", "", "\"entries\" is missing"},
    {"ParameterDtype", "/parameters/0/dtype", "\"f31\"", "parameter \"factor\": \"f31\" is no known dtype"},
    {"ParameterDynamic", "/parameters/0/shape/0", "\"T\"", "\"shape\" must hold non-negative integers"},
    {"HugeShape", "/parameters/0/shape", "[9223372036854775807, 9223372036854775807]", "is too large"},
    {"InitKind", "/parameters/0/init/kind", "\"cauchy\"", "init kind \"cauchy\" is none of normal, uniform, constant"},
    {"Frozen", "/parameters/0/frozen", "true", "parameter \"factor\": it is both trainable and frozen"},
    {"Role", "/entries/0/arguments/0/role", "\"guest\"", "argument \"x\": \"guest\" is no known role"},
    {"Kind", "/entries/0/kind", "\"nice\"", "entry \"scale\": \"nice\" is no known kind"},
    {"MultipleOf", "/entries/0/dims/T/multiple_of", "0", "\"multiple_of\" must be a positive integer"},
    {"TNowhere", "/entries/0/arguments/0/shape/0", "8", "no input has the dimension T"},
    {"UndeclaredParameter", "/parameters/0/name", "\"other\"", "takes the parameter \"factor\", which is not declared"},
    {"ParameterShape", "/entries/0/arguments/1/shape", "[5]", "argument \"factor\" is f32 [5], but elsewhere f32 [4]"},
    {"TwoEntries", "/entries/1/name", "\"scale\"", "entry \"scale\" appears twice"},
    {"TwoArguments", "/entries/1/arguments/1/name", "\"tokens\"", "argument \"tokens\" appears twice"},
    {"ScalarShape", "/entries/1/arguments/1/shape", "[1]", "a scalar must have the shape []"},
    {"RangeOfFloat", "/entries/0/arguments/0/range", "[0, 1]", "only integers have a range"},
    {"ActiveParameters", "/entries/0/active_parameters", "-1", "\"active_parameters\" must be a non-negative integer"},
    {"Underived", "/entries/0/arguments/1/role", "\"derived\"",
     "entry \"scale\" takes what is derived of the parameter \"factor\", and nothing makes that"},
    {"Kernels", "/entries/0/kernels/0/bytes", "[1]", "\"bytes\" must be two numbers"},
};
class ManifestDamage : public testing::TestWithParam<Damage> {};
} // namespace

TEST_P(ManifestDamage, IsOneSentence) {
  json manifest = testManifest();
  json::json_pointer pointer(GetParam().pointer);
  if (*GetParam().value)
    manifest[pointer] = json::parse(GetParam().value);
  else
    manifest[pointer.parent_pointer()].erase(pointer.back());
  Result<Manifest> result = parseManifest(manifest.dump(), "MODEL.peer");
  ASSERT_FALSE(result.ok());
  EXPECT_TRUE(result.message().starts_with("MODEL.peer: the manifest is damaged")) << result.message();
  EXPECT_NE(result.message().find(GetParam().expected), std::string::npos) << result.message();
}
INSTANTIATE_TEST_SUITE_P(All, ManifestDamage, testing::ValuesIn(kDamages),
                         [](const auto &info) { return info.param.name; });

TEST(Manifest, NotJson) {
  EXPECT_EQ(errorOf(parseManifest("{", "M")), "M: the manifest is damaged: it is not valid JSON");
}

TEST(Manifest, DerivationsMakeOneTensorOfOneParameter) {
  json manifest = testManifest(), derivation = manifest["entries"][0], factor = derivation["arguments"][1];
  derivation["name"] = "derive:1";
  derivation["kind"] = "derive";
  derivation["dims"] = json::object();
  derivation["arguments"] = {factor};
  derivation["results"] = {{{"name", "factor"}, {"dtype", "i8"}, {"shape", {3}}}};
  json packed = {{"name", "factor"}, {"role", "derived"}, {"dtype", "i8"}, {"shape", {3}}, {"updated", false}};
  manifest["entries"][0]["arguments"].push_back(packed);
  manifest["derivations"] = {derivation};
  Result<Manifest> good = parseManifest(manifest.dump(), "M");
  ASSERT_OK(good);
  ASSERT_EQ(good->derivations.size(), 1u);
  EXPECT_EQ(good->entries.size(), 4u);
  EXPECT_EQ(good->entries[0].arguments.back().role, Role::Derived);
  json other = manifest;
  other["entries"][0]["arguments"].back()["shape"] = {4};
  EXPECT_NE(errorOf(parseManifest(other.dump(), "M")).find("argument \"factor\" is i8 [4], but elsewhere i8 [3]"),
            std::string::npos);
  manifest["derivations"][0]["results"][0]["name"] = "fact";
  EXPECT_NE(errorOf(parseManifest(manifest.dump(), "M"))
                .find("derivation \"derive:1\" must make one tensor of one parameter, named as that"),
            std::string::npos);
}

TEST(Manifest, StatesAgreeBetweenEntries) {
  json manifest = testManifest();
  json state = manifest["entries"][0]["arguments"][2];
  state["shape"] = {3};
  manifest["entries"][1]["arguments"].push_back(state);
  EXPECT_NE(errorOf(parseManifest(manifest.dump(), "M")).find("argument \"calls\" is f32 [3], but elsewhere f32 []"),
            std::string::npos);
}
