#include "model/Artifact.h"

#include "TestSupport.h"
#include "core/Hash.h"
#include "model/CpuFeatures.h"
#include "model/Random.h"

#include <cstring>
#include <unistd.h>

using namespace peer::runtime;

namespace {
std::string openError(const std::string &path) { return errorOf(Artifact::open(path)); }
} // namespace

TEST(Artifact, OpensAndResolves) {
  TemporaryFolder folder;
  Result<std::shared_ptr<Artifact>> artifact = Artifact::open(writeArtifact(folder));
  ASSERT_OK(artifact);
  for (const Entry &entry : (*artifact)->manifest().entries)
    EXPECT_NE((*artifact)->function(entry), nullptr);
}

TEST(Artifact, OpensByBareName) {
  TemporaryFolder folder;
  writeArtifact(folder);
  std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder / ".");
  Result<std::shared_ptr<Artifact>> artifact = Artifact::open("MODEL.peer");
  std::filesystem::current_path(before);
  EXPECT_OK(artifact);
}

TEST(Artifact, FreshContentsUnderTheSameName) {
  TemporaryFolder folder;
  auto first = Artifact::open(writeArtifact(folder)).value();
  nlohmann::json manifest = testManifest();
  manifest["entries"].erase(0);
  auto second = Artifact::open(writeArtifact(folder, manifest)).value();
  EXPECT_EQ(first->manifest().entries.size(), 4u);
  EXPECT_EQ(second->manifest().entries.size(), 3u);
  EXPECT_NE(first->function(*first->manifest().findEntry("sum")),
            second->function(*second->manifest().findEntry("sum")));
}

TEST(Artifact, NoSuchFileEmptyAndOther) {
  TemporaryFolder folder;
  EXPECT_EQ(openError(folder / "none"), concat("cannot open ", folder / "none", ": No such file or directory"));
  writeBytes(folder / "a", "");
  EXPECT_EQ(openError(folder / "a"), concat(folder / "a", " is empty"));
  writeBytes(folder / "a", "hello");
  EXPECT_EQ(openError(folder / "a"), concat(folder / "a", " is not a peer artifact"));
}

TEST(Artifact, TruncationIsNamed) {
  TemporaryFolder folder;
  std::string bytes = artifactBytes(testManifest());
  for (size_t cut : {size_t{1}, size_t{48}, size_t{1000}, bytes.size() - 10}) {
    writeBytes(folder / "a", bytes.substr(0, bytes.size() - cut));
    EXPECT_EQ(openError(folder / "a"),
              concat(folder / "a", " is truncated, or not a peer artifact: it does not end with an artifact's footer"));
  }
}

TEST(Artifact, DamageIsNoticed) {
  TemporaryFolder folder;
  std::string bytes = artifactBytes(testManifest());
  for (size_t position = 4; position < bytes.size() - 48; position += 997) {
    std::string damaged = bytes;
    damaged[position] ^= 1;
    writeBytes(folder / "a", damaged);
    EXPECT_EQ(openError(folder / "a"), concat(folder / "a", " is damaged: its checksum does not match its contents"));
  }
  bytes[bytes.size() - 32] ^= 1; // the object's size
  writeBytes(folder / "a", bytes);
  EXPECT_NE(openError(folder / "a").find("is damaged: its footer speaks of"), std::string::npos);
}

TEST(Artifact, AnotherVersion) {
  TemporaryFolder folder;
  std::string bytes = artifactBytes(testManifest());
  bytes[bytes.size() - 40] = 3;
  writeBytes(folder / "a", bytes);
  EXPECT_EQ(openError(folder / "a"), concat(folder / "a", " has artifact format 3, and this runtime reads formats 1 "
                                                          "and 2; compile the model again"));
}

TEST(Artifact, KeepsTheDescription) {
  TemporaryFolder folder;
  std::string bytes = artifactBytes(testManifest()), footer = bytes.substr(bytes.size() - 48), text("a \0 b\n", 6);
  EXPECT_EQ(readDescription(writeArtifact(folder)).value(), "");
  bytes.replace(bytes.size() - 48, 48, text);
  uint64_t numbers[2] = {fnv1a(bytes.data(), bytes.size()), text.size()};
  footer[8] = 2;
  std::memcpy(footer.data() + 32, numbers, sizeof numbers);
  writeBytes(folder / "a", bytes + footer);
  EXPECT_OK(Artifact::open(folder / "a"));
  EXPECT_EQ(readDescription(folder / "a").value(), text);
  // Sizes that add up to the file's alone.
  footer[40] = 7;
  writeBytes(folder / "a", bytes + footer);
  EXPECT_NE(openError(folder / "a").find(" + 7 bytes, and it has "), std::string::npos);
}

TEST(Artifact, AnotherCpu) {
  TemporaryFolder folder;
  nlohmann::json manifest = testManifest();
  manifest["target"]["features"] = {"sse2", "frobnicate", "quux"};
  std::string path = writeArtifact(folder, manifest);
  EXPECT_EQ(openError(path), path + " was compiled for CPU features this machine lacks: frobnicate, quux");
  EXPECT_OK(readManifest(path)); // may still be inspected
}

TEST(Artifact, MissingSymbol) {
  TemporaryFolder folder;
  nlohmann::json manifest = testManifest();
  manifest["entries"][1]["symbol"] = "entry_nowhere";
  std::string path = writeArtifact(folder, manifest);
  EXPECT_EQ(openError(path), path + " is damaged: the code of entry \"sum\" (symbol entry_nowhere) is missing");
}

TEST(CpuFeatures, WhatProcCpuinfoSaysIsThere) {
  EXPECT_TRUE(missingCpuFeatures({"64bit", "sse2", "fxsr", "cx8", "cmov"}).empty());
  std::string flags = [] {
    FILE *file = std::fopen("/proc/cpuinfo", "r");
    std::string text(1 << 16, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file));
    std::fclose(file);
    return text;
  }();
  for (std::string name : {"avx2", "avx512f", "fma", "bmi2", "gfni", "adx", "invpcid"})
    EXPECT_EQ(missingCpuFeatures({name}).empty(), flags.find(" " + name + " ") != std::string::npos) << name;
}
