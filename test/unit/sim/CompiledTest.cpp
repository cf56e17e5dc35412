// PTX as compilers write it: LLVM's NVPTX back end and nvcc, where they are installed.

#include "SimTestSupport.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace peer::runtime::sim::test {
namespace {
/// Compiles `source` to PTX by a command in which IN and OUT stand for the files; "" where that failed.
std::string compile(const std::string &source, const std::string &suffix, std::string command) {
  auto directory = std::filesystem::temp_directory_path() / ("peer-sim-" + std::to_string(getpid()));
  std::filesystem::create_directories(directory);
  auto in = directory / ("in" + suffix), out = directory / "out.ptx";
  std::ofstream(in) << source;
  command.replace(command.find("IN"), 2, in.string());
  command.replace(command.find("OUT"), 3, out.string());
  int code = std::system((command + " > " + (directory / "log").string() + " 2>&1").c_str());
  std::ostringstream text;
  std::ifstream file(code == 0 ? out : directory / "log");
  text << file.rdbuf();
  std::filesystem::remove_all(directory);
  EXPECT_EQ(code, 0) << text.str();
  return code == 0 ? text.str() : "";
}

TEST(Compiled, LlvmKernels) {
  if (std::string(PEER_TEST_LLC).ends_with("NOTFOUND"))
    GTEST_SKIP() << "llc of LLVM 22 is not installed";
  std::string ptx =
      compile(R"(
target triple = "nvptx64-nvidia-cuda"
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
declare i32 @llvm.nvvm.shfl.sync.bfly.i32(i32, i32, i32, i32)
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
declare float @llvm.fma.f32(float, float, float)
@tile = internal addrspace(3) global [128 x float] undef, align 16
define internal float @square(float %v) noinline {
  %s = fmul float %v, %v
  ret float %s
}
; Each thread: sum over k < tid of in[k]^2 in bf16, times exchanged neighbour, through shared memory.
define ptx_kernel void @k(ptr addrspace(1) noalias readonly %in, ptr addrspace(1) noalias %out) {
entry:
  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %slot = getelementptr [128 x float], ptr addrspace(3) @tile, i32 0, i32 %tid
  %none = icmp eq i32 %tid, 0
  br i1 %none, label %after, label %loop
loop:
  %k = phi i32 [ 0, %entry ], [ %next, %loop ]
  %acc = phi float [ 0.0, %entry ], [ %sum, %loop ]
  %p = getelementptr bfloat, ptr addrspace(1) %in, i32 %k
  %b = load bfloat, ptr addrspace(1) %p, align 2
  %f = fpext bfloat %b to float
  %s = call float @square(float %f)
  %sum = fadd float %acc, %s
  %next = add i32 %k, 1
  %more = icmp ult i32 %next, %tid
  br i1 %more, label %loop, label %after
after:
  %total = phi float [ 0.0, %entry ], [ %sum, %loop ]
  store float %total, ptr addrspace(3) %slot, align 4
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %mirror = sub i32 127, %tid
  %other = getelementptr [128 x float], ptr addrspace(3) @tile, i32 0, i32 %mirror
  %m = load float, ptr addrspace(3) %other, align 4
  %bits = bitcast float %m to i32
  %x = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %bits, i32 1, i32 31)
  %xf = bitcast i32 %x to float
  %r = call float @llvm.fma.f32(float %xf, float 2.0, float %total)
  %o = getelementptr float, ptr addrspace(1) %out, i32 %tid
  store float %r, ptr addrspace(1) %o, align 4
  ret void
}
)",
              ".ll", std::string(PEER_TEST_LLC) + " -mtriple=nvptx64-nvidia-cuda -mcpu=sm_90 -mattr=+ptx86 IN -o OUT");
  if (ptx.empty())
    return;
  Machine machine(ptx);
  std::vector<uint16_t> in(128);
  for (size_t i = 0; i < in.size(); ++i)
    in[i] = static_cast<uint16_t>(bitsOf(static_cast<float>(i % 7)) >> 16);
  uint64_t pin = machine.upload(in), pout = machine.reserve(512);
  expectClean(machine.run({}, {128}, pin, pout));
  auto total = [](uint32_t t) {
    float sum = 0;
    for (uint32_t k = 0; k < t; ++k)
      sum += static_cast<float>(k % 7 * (k % 7));
    return sum;
  };
  auto out = machine.download<float>(pout, 128);
  for (uint32_t t = 0; t < 128; ++t)
    EXPECT_EQ(out[t], 2 * total(127 - (t ^ 1)) + total(t)) << t;
}

const std::string kCuda = R"(
#include <cuda_bf16.h>
#include <mma.h>
__device__ float table[4] = {1, 2, 4, 8};
extern "C" __global__ void k(const float *in, float *out, int n, __nv_bfloat162 *pairs) {
  extern __shared__ float buffer[];
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  float v = i < n ? in[i] : 0.0f;
  buffer[threadIdx.x] = v;
  __syncthreads();
  for (int step = blockDim.x / 2; step > 0; step /= 2) {
    if (threadIdx.x < step) buffer[threadIdx.x] += buffer[threadIdx.x + step];
    __syncthreads();
  }
  float sum = buffer[0], local[8];
  for (int j = 0; j < 8; ++j) local[(j * 3 + i) & 7] = v * j;
  switch (i & 3) {
  case 0: v = expf(v); break;
  case 1: v = sqrtf(v) + tanhf(v); break;
  case 2: v = v / 3.0f + (float)(i / 7 % 5); break;
  default: v = __shfl_xor_sync(__activemask(), v, 4) + 1; break;
  }
  if (i < n) {
    out[i] = v + sum * table[i & 3] + local[i & 7];
    pairs[i] = __hfma2(__float2bfloat162_rn(v), __float2bfloat162_rn(2.0f), pairs[i]);
  }
}
)";

TEST(Compiled, CudaKernel) {
  if (std::string(PEER_TEST_NVCC).ends_with("NOTFOUND"))
    GTEST_SKIP() << "nvcc is not installed";
  std::string ptx = compile(kCuda, ".cu", std::string(PEER_TEST_NVCC) + " -ptx -arch=sm_90 IN -o OUT");
  if (ptx.empty())
    return;
  Machine machine(ptx);
  constexpr int n = 200;
  std::vector<float> in(n);
  for (int i = 0; i < n; ++i)
    in[static_cast<size_t>(i)] = 0.01f * static_cast<float>(i);
  machine.sharedBytes = 64 * 4;
  uint64_t pin = machine.upload(in), pout = machine.reserve(n * 4),
           pairs = machine.upload(std::vector<uint32_t>(n, 0x3f803f80));
  expectClean(machine.run({4}, {64}, pin, pout, n, pairs));
  auto out = machine.download<float>(pout, n);
  for (int i = 0; i < n; ++i) {
    double sum = 0, v = in[static_cast<size_t>(i)], scale = std::ldexp(1.0, i & 3), local = 0;
    for (int j = i / 64 * 64; j < i / 64 * 64 + 64 && j < n; ++j)
      sum += in[static_cast<size_t>(j)];
    for (int j = 0; j < 8; ++j)
      local = ((j * 3 + i) & 7) == (i & 7) ? v * j : local;
    int other = i ^ 4;
    switch (i & 3) {
    case 0:
      v = std::exp(v);
      break;
    case 1:
      v = std::sqrt(v) + std::tanh(v);
      break;
    case 2:
      v = v / 3 + i / 7 % 5;
      break;
    default:
      v = (other < n ? in[static_cast<size_t>(other)] : 0.0f) + 1;
      break;
    }
    EXPECT_NEAR(out[static_cast<size_t>(i)], v + sum * scale + local, 1e-3 * (1 + sum * scale)) << i;
  }
}
} // namespace
} // namespace peer::runtime::sim::test
