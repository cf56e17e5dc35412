// A device `cuda` on the fake driver, and modules to run on it.
#pragma once

#include "device/gpu/GpuDevice.h"
#include "fake/FakeCounts.h"

#include <gtest/gtest.h>
#include <map>

namespace peer::runtime::test {

/// Sets environment variables as long as it lives.
class Environment {
public:
  explicit Environment(const std::map<std::string, std::string> &values);
  ~Environment();
  Environment(const Environment &) = delete;
  Environment &operator=(const Environment &) = delete;

private:
  std::map<std::string, std::string> before;
};

/// Every test runs on the fake driver, with the library of products where the test says so.
class CudaTest : public ::testing::Test {
protected:
  CudaTest();

  /// A device for sm_90; fails the test where there is none.
  std::shared_ptr<GpuDevice> open();
  /// The message of a device that cannot be opened.
  std::string openError(const std::string &arch = "sm_90");
  static cuda::fake::Counts counts();

  DeviceFunction *load(GpuDevice &device, const std::string &ptx, const std::string &kernel);
  template <typename T>
  DeviceAddress upload(GpuDevice &device, const std::vector<T> &values) {
    DeviceAddress address = reserve(device, values.size() * sizeof(T));
    ok(device.copyIn(address, values.data(), values.size() * sizeof(T)));
    return address;
  }
  template <typename T>
  std::vector<T> download(GpuDevice &device, DeviceAddress address, size_t count) {
    std::vector<T> values(count);
    ok(device.copyOut(values.data(), address, count * sizeof(T)));
    return values;
  }
  DeviceAddress reserve(GpuDevice &device, uint64_t bytes);
  /// Launches with parameters of any types.
  template <typename... Args>
  Status launch(GpuDevice &device, DeviceFunction *function, const LaunchShape &shape, Args... args) {
    std::array<void *, sizeof...(Args)> pointers{&args...};
    return device.launch(function, shape, pointers);
  }
  /// A graph of what `record` does; fails the test, and is null, where there is none.
  template <typename F>
  DeviceGraph *capture(GpuDevice &device, F record) {
    ok(device.beginCapture());
    record();
    Result<DeviceGraph *> graph = device.endCapture();
    if (!graph.ok())
      ADD_FAILURE() << graph.message();
    return graph.ok() ? *graph : nullptr;
  }
  static void ok(const Status &status) { EXPECT_TRUE(status.ok()) << status.message(); }

  Environment environment;
};

inline constexpr LaunchShape kOneWarp{{1, 1, 1}, {32, 1, 1}};

/// The beginning of a PTX text.
std::string header(const std::string &version = "7.8", const std::string &target = "sm_90");

/// x[i] = x[i] * factor + bias, one thread per element: kernel `scale`(u64 x, u32 n, f32 factor, f32 bias).
std::string scalePtx();

/// A cubin as the fake driver takes it: machine code for `arch`, which is `ptx` in truth.
std::vector<std::byte> cubin(int arch, const std::string &ptx);

} // namespace peer::runtime::test
