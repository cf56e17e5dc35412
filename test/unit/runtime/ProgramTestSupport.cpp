#include "ProgramTestSupport.h"

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>

namespace peer::runtime {

void *Program::find(const char *symbol) {
  void *library = dlopen(PEER_FAKE_CUDA, RTLD_NOW | RTLD_NOLOAD);
  return library ? dlsym(library, symbol) : nullptr;
}

cuda::fake::Counts Program::counts() {
  cuda::fake::Counts counts;
  driver<void(cuda::fake::Counts *)>("fakeCudaCounts")(&counts);
  return counts;
}

peer_view ProgramTensor::view() const {
  return {sizeof(peer_view), onGpu ? PEER_CUDA : PEER_CPU, 0, dtype, shape.size(), shape.data(), nullptr, data};
}

void *ProgramTensor::hostView(bool toWrite) const {
  if (!onGpu)
    return data;
  auto view = Program::driver<void *(uint64_t, uint64_t, int)>("fakeCudaMemory");
  return view(reinterpret_cast<uint64_t>(data), bytes, toWrite);
}

std::vector<float> ProgramTensor::floats() const {
  const float *first = values();
  return first ? std::vector<float>(first, first + bytes / sizeof(float)) : std::vector<float>();
}

Program::Program(const std::string &device, const std::string &path) : gpu(device == "cuda") {
  setenv("PEER_CUDA_LIBRARY", PEER_FAKE_CUDA, 1);
  EXPECT_EQ(peer_open_on(path.c_str(), device.c_str(), &artifact), PEER_OK) << peer_last_error();
  unsetenv("PEER_CUDA_LIBRARY");
}

Program::~Program() {
  for (const ProgramTensor &tensor : tensors)
    if (tensor.onGpu)
      EXPECT_EQ(driver<cuda::Code(cuda::Pointer)>("cuMemFree_v2")(reinterpret_cast<cuda::Pointer>(tensor.data)), 0);
  peer_close(artifact);
}

ProgramTensor &Program::make(std::vector<int64_t> shape, const char *dtype, bool onGpu) {
  ProgramTensor &made = tensors.emplace_back();
  made.dtype = dtype;
  made.bytes = dtypeSize(*parseDType(dtype));
  for (int64_t size : shape)
    made.bytes *= static_cast<size_t>(size);
  made.shape = std::move(shape);
  made.onGpu = onGpu;
  if (onGpu) {
    cuda::Pointer pointer = 0;
    EXPECT_EQ(driver<cuda::Code(cuda::Pointer *, size_t)>("cuMemAlloc_v2")(&pointer, std::max<size_t>(made.bytes, 1)),
              cuda::kSuccess);
    made.data = reinterpret_cast<void *>(pointer);
  } else {
    made.memory.resize(made.bytes / 8 + 1);
    made.data = made.memory.data();
  }
  return made;
}

ProgramTensor &Program::tensor(std::vector<int64_t> shape, const std::vector<float> &values) {
  ProgramTensor &made = make(std::move(shape), "f32", gpu);
  EXPECT_EQ(made.bytes, values.size() * sizeof(float));
  if (made.bytes > 0)
    std::memcpy(made.values(true), values.data(), made.bytes);
  return made;
}

ProgramTensor &Program::onHost(std::vector<int64_t> shape, const std::vector<float> &values) {
  ProgramTensor &made = make(std::move(shape), "f32", false);
  std::memcpy(made.data, values.data(), made.bytes);
  return made;
}

ProgramTensor &Program::room(std::vector<int64_t> shape, const char *dtype) {
  return make(std::move(shape), dtype, gpu);
}

std::string Program::run(const char *entry, const std::vector<peer_view> &arguments,
                         const std::vector<peer_view> &results, const peer_options *options) {
  peer_status status =
      peer_run(artifact, entry, arguments.data(), arguments.size(), results.data(), results.size(), options);
  return status == PEER_OK ? "" : peer_last_error();
}

std::string Program::bind(const char *name, const ProgramTensor *tensor) {
  peer_view view{};
  if (tensor)
    view = tensor->view();
  return peer_bind(artifact, name, tensor ? &view : nullptr) == PEER_OK ? "" : peer_last_error();
}

std::vector<float> Program::kept(const char *name) {
  peer_view view{};
  if (peer_tensor(artifact, name, &view) != PEER_OK) {
    ADD_FAILURE() << peer_last_error();
    return {};
  }
  ProgramTensor seen;
  seen.shape.assign(view.shape, view.shape + view.rank);
  seen.bytes = sizeof(float);
  for (int64_t size : seen.shape)
    seen.bytes *= static_cast<size_t>(size);
  seen.onGpu = view.device_type == PEER_CUDA;
  seen.data = view.data;
  return seen.floats();
}

} // namespace peer::runtime
