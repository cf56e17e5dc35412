#include "CudaTestSupport.h"

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>

namespace peer::runtime::test {

Environment::Environment(const std::map<std::string, std::string> &values) {
  for (const auto &[name, value] : values) {
    if (const char *old = std::getenv(name.c_str()))
      before[name] = old;
    else
      before[name] = "\1"; // not set
    setenv(name.c_str(), value.c_str(), 1);
  }
}

Environment::~Environment() {
  for (const auto &[name, value] : before)
    if (value == "\1")
      unsetenv(name.c_str());
    else
      setenv(name.c_str(), value.c_str(), 1);
}

CudaTest::CudaTest() : environment({{"PEER_CUDA_LIBRARY", PEER_FAKE_CUDA}, {"PEER_CUBLASLT_LIBRARY", ""}}) {}

std::shared_ptr<GpuDevice> CudaTest::open() {
  Result<std::shared_ptr<GpuDevice>> device = openCudaDevice("sm_90");
  if (!device.ok())
    ADD_FAILURE() << device.message();
  return device.ok() ? *device : nullptr;
}

std::string CudaTest::openError(const std::string &arch) {
  Result<std::shared_ptr<GpuDevice>> device = openCudaDevice(arch);
  return device.ok() ? "opened: " + (*device)->description() : device.message();
}

cuda::fake::Counts CudaTest::counts() {
  void *library = dlopen(PEER_FAKE_CUDA, RTLD_NOW);
  auto function = reinterpret_cast<void (*)(cuda::fake::Counts *)>(dlsym(library, "fakeCudaCounts"));
  cuda::fake::Counts counts;
  function(&counts);
  return counts;
}

DeviceFunction *CudaTest::load(GpuDevice &device, const std::string &ptx, const std::string &kernel) {
  Result<DeviceModule *> module = device.loadModule({ptx, {}});
  if (!module.ok()) {
    ADD_FAILURE() << module.message();
    return nullptr;
  }
  Result<DeviceFunction *> function = device.function(*module, kernel);
  if (!function.ok())
    ADD_FAILURE() << function.message();
  return function.ok() ? *function : nullptr;
}

DeviceAddress CudaTest::reserve(GpuDevice &device, uint64_t bytes) {
  Result<DeviceAddress> address = device.allocate(bytes);
  if (!address.ok())
    ADD_FAILURE() << address.message();
  return address.ok() ? *address : 0;
}

std::string header(const std::string &version, const std::string &target) {
  return ".version " + version + "\n.target " + target + "\n.address_size 64\n";
}

std::string scalePtx() {
  return header() + R"(
.visible .entry scale(.param .u64 x, .param .u32 n, .param .f32 factor, .param .f32 bias) {
  .reg .b64 %a<4>;
  .reg .b32 %r<6>;
  .reg .f32 %f<4>;
  .reg .pred %p;
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.s32 %r4, %r1, %r2, %r3;
  ld.param.u32 %r5, [n];
  setp.ge.u32 %p, %r4, %r5;
  @%p bra done;
  ld.param.u64 %a1, [x];
  mul.wide.u32 %a2, %r4, 4;
  add.s64 %a3, %a1, %a2;
  ld.param.f32 %f1, [factor];
  ld.param.f32 %f2, [bias];
  ld.global.f32 %f3, [%a3];
  fma.rn.f32 %f3, %f3, %f1, %f2;
  st.global.f32 [%a3], %f3;
done:
  ret;
}
)";
}

std::vector<std::byte> cubin(int arch, const std::string &ptx) {
  std::vector<std::byte> bytes(64);
  uint16_t machine = 190;
  uint32_t flags = static_cast<uint32_t>(arch);
  std::memcpy(bytes.data(), "\177ELF", 4);
  std::memcpy(bytes.data() + 18, &machine, sizeof machine);
  std::memcpy(bytes.data() + 48, &flags, sizeof flags);
  auto *text = reinterpret_cast<const std::byte *>(ptx.c_str());
  bytes.insert(bytes.end(), text, text + ptx.size() + 1);
  return bytes;
}

} // namespace peer::runtime::test
