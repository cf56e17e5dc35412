#include "core/Cgroup.h"

#include "TestSupport.h"

using namespace peer::runtime;

namespace {
/// A system whose files are below a folder.
class CgroupTest : public testing::Test {
protected:
  void write(const std::string &path, const std::string &text) {
    std::filesystem::path file = folder / path;
    std::filesystem::create_directories(file.parent_path());
    writeBytes(file.string(), text);
  }
  void unifiedGroup(const std::string &directory, const std::string &most, uint64_t used, uint64_t inactive = 0) {
    write(directory + "/memory.max", most + "\n");
    write(directory + "/memory.current", std::to_string(used) + "\n");
    write(directory + "/memory.stat", concat("anon 5\nfile 77\ninactive_file ", inactive,
                                             "\nactive_file 3\nshmem 50\n"
                                             "slab_reclaimable 2\nslab 9\n"));
  }
  std::optional<uint64_t> memoryLeft() { return Cgroups(folder / ".").memoryLeft(); }
  std::optional<double> processors() { return Cgroups(folder / ".").processors(); }

  TemporaryFolder folder;
};
constexpr const char *kUnified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
} // namespace

TEST_F(CgroupTest, NoneHasNoLimits) {
  EXPECT_FALSE(memoryLeft());
  EXPECT_FALSE(processors());
  write("proc/self/cgroup", "nonsense\n:\n0::/\n");
  write("proc/self/mountinfo", "nonsense\n - \n1 2 3 - cgroup2\n");
  EXPECT_FALSE(memoryLeft());
  EXPECT_FALSE(processors());
}

TEST_F(CgroupTest, CacheIsAvailable) {
  write("proc/self/cgroup", "0::/\n");
  write("proc/self/mountinfo", kUnified);
  unifiedGroup("sys/fs/cgroup", "2000", 1990, 1800);
  EXPECT_EQ(memoryLeft(), 2000u - (1990 - 1800 - 3 - 2));
  unifiedGroup("sys/fs/cgroup", "2000", 1000, 1800); // the numbers are from different moments
  EXPECT_EQ(memoryLeft(), 2000u);
  unifiedGroup("sys/fs/cgroup", "2000", 3000);
  EXPECT_EQ(memoryLeft(), 0u);
  unifiedGroup("sys/fs/cgroup", "max", 3000);
  EXPECT_FALSE(memoryLeft());
}

TEST_F(CgroupTest, TheTightestGroupCounts) {
  write("proc/self/cgroup", "0::/user.slice/job\n");
  write("proc/self/mountinfo", kUnified);
  unifiedGroup("sys/fs/cgroup/user.slice/job", "max", 100);
  unifiedGroup("sys/fs/cgroup/user.slice", "900", 205);
  EXPECT_EQ(memoryLeft(), 700u);
  write("sys/fs/cgroup/user.slice/job/memory.high", "400\n");
  EXPECT_EQ(memoryLeft(), 305u);
  unifiedGroup("sys/fs/cgroup/user.slice/other", "1", 1); // not ours
  EXPECT_EQ(memoryLeft(), 305u);
  write("sys/fs/cgroup/user.slice/job/cpu.max", "max 100000\n");
  EXPECT_FALSE(processors());
  write("sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n");
  EXPECT_EQ(processors(), 1.5);
}

TEST_F(CgroupTest, TheFirstVersion) {
  write("proc/self/cgroup", "12:cpu,cpuacct:/docker/1f\n4:memory:/docker/1f\n0::/docker/1f\n");
  write("proc/self/mountinfo", "35 31 0:32 / /cg\\040v1/memory rw - cgroup cgroup rw,memory\n"
                               "36 31 0:33 / /cg\\040v1/cpu rw shared:3 master:2 - cgroup cgroup rw,cpu,cpuacct\n");
  write("cg v1/memory/docker/1f/memory.limit_in_bytes", "1000\n");
  write("cg v1/memory/docker/1f/memory.usage_in_bytes", "900\n");
  write("cg v1/memory/docker/1f/memory.stat",
        "inactive_file 1\nhierarchical_memory_limit 950\ntotal_inactive_file 500\n");
  write("cg v1/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("cg v1/memory/memory.usage_in_bytes", "12345\n");
  EXPECT_EQ(memoryLeft(), 550u);
  write("cg v1/cpu/docker/1f/cpu.cfs_quota_us", "-1\n");
  write("cg v1/cpu/docker/1f/cpu.cfs_period_us", "100000\n");
  EXPECT_FALSE(processors());
  write("cg v1/cpu/docker/cpu.cfs_quota_us", "50000\n");
  write("cg v1/cpu/docker/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(processors(), 0.5);
}

// In a container the mount shows the container's group alone, whatever name the kernel has for it.
TEST_F(CgroupTest, AMountOfAPart) {
  write("proc/self/cgroup", "4:memory:/docker/1f/inner\n3:cpu:/elsewhere\n");
  write("proc/self/mountinfo", "35 31 0:32 /docker/1f /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                               "36 31 0:33 /docker/1f /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n");
  write("sys/fs/cgroup/memory/inner/memory.limit_in_bytes", "500\n");
  write("sys/fs/cgroup/memory/inner/memory.usage_in_bytes", "100\n");
  EXPECT_EQ(memoryLeft(), 400u);
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "300\n");
  write("sys/fs/cgroup/memory/memory.usage_in_bytes", "100\n");
  EXPECT_EQ(memoryLeft(), 200u);
  write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
  write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(processors(), 2.0);
}

TEST_F(CgroupTest, BothVersionsAtOnce) {
  write("proc/self/cgroup", "4:memory:/a\n0::/b\n");
  write("proc/self/mountinfo", "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                               "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "700\n");
  write("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "0\n");
  unifiedGroup("sys/fs/cgroup/unified/b", "600", 5);
  EXPECT_EQ(memoryLeft(), 600u);
  write("sys/fs/cgroup/unified/b/cpu.max", "100000 100000\n");
  EXPECT_EQ(processors(), 1.0);
}
