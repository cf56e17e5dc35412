#include "model/Versions.h"

#include "TestSupport.h"
#include "model/Artifact.h"

using namespace peer::runtime;
using nlohmann::json;

namespace {
/// The test's manifest with these versions beside its own, each with what it needs of a CPU.
json manifestWith(const std::vector<std::pair<std::string, std::vector<std::string>>> &others) {
  json manifest = testManifest();
  for (const auto &[cpu, features] : others)
    manifest["versions"].push_back(
        {{"target", {{"device", "cpu"}, {"cpu", cpu}, {"features", features}}}, {"entries", manifest["entries"]}});
  return manifest;
}

std::string chosen(const json &described, const char *name = nullptr) {
  Manifest manifest = parseManifest(described.dump(), "M").value();
  Status status = chooseVersion(manifest, name, "M");
  return status.ok() ? manifest.cpu : status.message();
}
} // namespace

TEST(Versions, TheMostDemandingThatRunsWhateverTheOrder) {
  const std::pair<std::string, std::vector<std::string>> more{"more", {"sse2", "sse"}}, less{"less", {}},
      most{"most", {"sse2", "sse", "frobnicate"}};
  EXPECT_EQ(chosen(manifestWith({})), "x86-64");
  EXPECT_EQ(chosen(manifestWith({less, more, most})), "more");
  EXPECT_EQ(chosen(manifestWith({most, more, less})), "more");
  EXPECT_EQ(chosen(manifestWith({less, most})), "x86-64");
}

TEST(Versions, WiderVectorsAreMoreThanManyInstructions) {
  Version wide{"wide", {"avx2", "avx512f"}, {}, {}}, rich{"rich", {"aes", "avx2", "gfni", "sha"}, {}, {}};
  EXPECT_TRUE(isMoreDemanding(wide, rich));
  EXPECT_FALSE(isMoreDemanding(rich, wide));
  EXPECT_TRUE(isMoreDemanding(rich, {"avx", {"avx2"}, {}, {}}));
}

TEST(Versions, ByName) {
  json manifest = manifestWith({{"more", {"sse2", "sse"}}, {"most", {"frobnicate", "quux"}}});
  EXPECT_EQ(chosen(manifest, "x86-64"), "x86-64");
  EXPECT_EQ(chosen(manifest, ""), "more");
  EXPECT_EQ(chosen(manifest, "other"), "PEER_CPU=other: M has code for more, most, x86-64");
  EXPECT_EQ(chosen(manifest, "most"),
            "M has code for most, of which this machine can run none: for most it lacks frobnicate, quux");
  EXPECT_EQ(chosen(testManifest(), "other"), "x86-64");
}

TEST(Versions, NoneThatRuns) {
  json manifest = manifestWith({{"more", {"frobnicate", "quux"}}});
  manifest["target"]["features"] = {"quux"};
  EXPECT_EQ(chosen(manifest),
            "M has code for more, x86-64, of which this machine can run none: for x86-64 it lacks quux");
}

TEST(Versions, OpensTheCodeOfTheOneThatRuns) {
  TemporaryFolder folder;
  json manifest = manifestWith({{"more", {"sse2", "sse"}}});
  // Another function of the test's, to tell them apart.
  manifest["versions"][0]["entries"][0]["symbol"] = "entry_sum";
  auto artifact = Artifact::open(writeArtifact(folder, manifest)).value();
  const Manifest &opened = artifact->manifest();
  EXPECT_EQ(opened.cpu, "more");
  EXPECT_EQ(artifact->function(opened.entries[0]), artifact->function(opened.entries[1]));
}

TEST(Versions, AreTheSameToCallers) {
  auto refusal = [](const char *pointer, const json &value) {
    json manifest = manifestWith({{"more", {}}});
    manifest["versions"][0][json::json_pointer(pointer)] = value;
    return errorOf(parseManifest(manifest.dump(), "M"));
  };
  const std::string other = "M: the manifest is damaged, the version \"more\": its entries are not those of the first "
                            "one, \"x86-64\"";
  EXPECT_EQ(refusal("/entries/0/name", "scaled"), other);
  EXPECT_EQ(refusal("/entries/1/arguments/0/dtype", "i64"), other);
  EXPECT_EQ(refusal("/entries/1/results/0/dtype", "i32"), other);
  EXPECT_EQ(refusal("/entries", json::array()), other);
  EXPECT_EQ(refusal("/target/device", "tpu"),
            "M: the manifest is damaged, the version \"more\": only code for CPUs has versions");
  EXPECT_EQ(refusal("/entries/0/kernels/0/bytes", {1}),
            "M: the manifest is damaged, versions, entry \"scale\": \"bytes\" must be two numbers");
}
