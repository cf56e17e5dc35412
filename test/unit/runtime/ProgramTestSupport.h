// A program that uses the C interface on a device, and memory where that device takes it: the host's, or the GPU's of the driver made for tests.
#pragma once

#include "../cuda/fake/FakeCounts.h"
#include "DeviceTestSupport.h"
#include "session/peer_runtime.h"

#include <deque>

namespace peer::runtime {

/// A tensor of a program's own, of f32 unless it says otherwise.
struct ProgramTensor {
  std::vector<int64_t> shape;
  const char *dtype = "f32";
  size_t bytes = 0;
  bool onGpu = false;
  void *data = nullptr;
  std::vector<int64_t> memory; // where it is the host's

  peer_view view() const;
  /// What is there now, on whatever device.
  template <typename T = float>
  T *values(bool toWrite = false) const {
    return static_cast<T *>(hostView(toWrite));
  }
  std::vector<float> floats() const;
  void *hostView(bool toWrite) const;
};

class Program {
public:
  /// Opens `path` on a device.
  Program(const std::string &device, const std::string &path);
  ~Program();
  Program(const Program &) = delete;
  Program &operator=(const Program &) = delete;

  /// Memory that the device takes in place.
  ProgramTensor &tensor(std::vector<int64_t> shape, const std::vector<float> &values);
  /// Memory that was never written.
  ProgramTensor &room(std::vector<int64_t> shape, const char *dtype = "f32");
  ProgramTensor &onHost(std::vector<int64_t> shape, const std::vector<float> &values);

  /// Calls an entry; the error's sentence, "" where there is none.
  std::string run(const char *entry, const std::vector<peer_view> &arguments, const std::vector<peer_view> &results,
                  const peer_options *options = nullptr);
  std::string bind(const char *name, const ProgramTensor *tensor);
  /// The values of a parameter, "state:NAME" or "usage:NAME", wherever they are.
  std::vector<float> kept(const char *name);

  /// What the driver was asked for, and a function of it.
  static cuda::fake::Counts counts();
  template <typename F>
  static F *driver(const char *symbol) {
    return reinterpret_cast<F *>(find(symbol));
  }

  peer_artifact *artifact = nullptr;

private:
  static void *find(const char *symbol);
  ProgramTensor &make(std::vector<int64_t> shape, const char *dtype, bool onGpu);
  bool gpu;
  std::deque<ProgramTensor> tensors;
};

} // namespace peer::runtime
