// ldmatrix and mma.sync. Fragment layouts are those of the PTX ISA: lane / 4 is a row of A and C and a column of B, lane % 4 tells
// which elements of it.

#include "ExecuteAccess.h"
#include "Half.h"

#include <cstring>

namespace peer::runtime::sim {

namespace {
void ldmatrixLanes(Warp &warp, const Inst &inst, Mask mask) {
  uint64_t addresses[kLanes];
  laneAddresses(warp, inst, 1, inst.imm, addresses);
  const uint32_t *results = warp.list(inst);
  unsigned rows = 8u * inst.count;
  Mask readers = rows == 32 ? kAllLanes : (Mask{1} << rows) - 1;
  uint16_t data[kLanes][8] = {};
  eachAccess(warp, inst, mask & readers, inst.space, addresses, 16, false, [&](const Access &access) {
    warp.block.noteRead(warp, inst, access);
    eachLane(access.lanes, [&](unsigned lane) { std::memcpy(data[lane], access.data(lane), 16); });
  });
  for (unsigned matrix = 0; matrix < inst.count; ++matrix)
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      if (!in(mask, lane))
        continue;
      unsigned row = lane / 4, column = lane % 4 * 2;
      const auto *m = data + 8 * matrix;
      uint32_t low = inst.flags & kTransposed ? m[column][row] : m[row][column];
      uint32_t high = inst.flags & kTransposed ? m[column + 1][row] : m[row][column + 1];
      warp.lanes<uint32_t>(results[matrix])[lane] = low | high << 16;
    }
}

void ldmatrix(Form &form) {
  Inst &inst = form.inst;
  bool known = form.take("sync") && form.take("aligned") && form.take("m8n8");
  inst.count = form.take("x1") ? 1 : form.take("x2") ? 2 : form.take("x4") ? 4 : 0;
  inst.flags |= form.take("trans") ? kTransposed : 0;
  Space space;
  takeSpace(form, space);
  if (!known || inst.count == 0 || form.type() != Type::B16 || !form.wantOperands(2, 2))
    return form.unknown();
  const Operand &results = form.operand(0);
  std::vector<uint32_t> slots;
  if (results.kind == Operand::Kind::List)
    for (const Operand &part : results.parts)
      slots.push_back(form.destOf(part, Type::B32));
  else
    slots.push_back(form.dest(0, Type::B32));
  if (slots.size() != inst.count)
    return form.fail("expected ", unsigned{inst.count}, " results");
  inst.list = form.addList(slots);
  form.address(1, 1, space);
  inst.space = space;
  noteGrain(form, space, 16);
  inst.s[5] = form.constant(kAllLanes);
  inst.control = Control::WarpSync;
  inst.run = ldmatrixLanes;
}

constexpr unsigned kRows = 16, kColumns = 8;

enum Element : uint8_t { HalfElement, BfloatElement, Tf32Element };

/// The elements of one register of A or B, one or two for each lane, as floats.
template <Element Kind>
[[gnu::always_inline]] inline void widen(const uint32_t *bits, float *to) {
  // Hardware does not look at the bits that tf32 does not have.
  if constexpr (Kind == Tf32Element)
    PEER_LANES to[lane] = std::bit_cast<float>(bits[lane] & ~0x1fffu);
  else if constexpr (Kind == BfloatElement)
    PEER_LANES {
      to[2 * lane] = std::bit_cast<float>(bits[lane] << 16);
      to[2 * lane + 1] = std::bit_cast<float>(bits[lane] & 0xffff0000u);
    }
  else
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      to[2 * lane] = halfToFloat(static_cast<uint16_t>(bits[lane]));
      to[2 * lane + 1] = halfToFloat(static_cast<uint16_t>(bits[lane] >> 16));
    }
}

/// The list: D, A, B, C registers; size is the depth K, kind2 whether C and D are f16.
template <Element Kind, unsigned Depth>
[[gnu::always_inline]] inline void multiply(Warp &warp, const Inst &inst) {
  // A register covers 4 lanes' elements of a row of A: `kStep` columns.
  constexpr unsigned kPer = Kind == Tf32Element ? 1 : 2, kStep = 4 * kPer, kRegisters = Depth / kStep;
  const unsigned registersC = inst.kind2 ? 2 : 4;
  const uint32_t *d = warp.list(inst), *ra = d + registersC, *rb = ra + 2 * kRegisters, *rc = rb + kRegisters;
  // Of A: register, row, column. Of B: row by row.
  float a[2 * kRegisters][8][kStep], fragment[kColumns][kStep], b[Depth][kColumns], c[kRows][kColumns];
  for (unsigned r = 0; r < 2 * kRegisters; ++r)
    widen<Kind>(warp.lanes<uint32_t>(ra[r]), a[r][0]);
  for (unsigned r = 0; r < kRegisters; ++r) {
    widen<Kind>(warp.lanes<uint32_t>(rb[r]), fragment[0]);
    for (unsigned k = 0; k < kStep; ++k)
      for (unsigned n = 0; n < kColumns; ++n)
        b[kStep * r + k][n] = fragment[n][k];
  }
  // A lane has two columns side by side, and a row has those of four lanes: in order of lanes they are in order of columns.
  for (unsigned half = 0; half < 2; ++half) {
    float *rows = c[8 * half];
    if (inst.kind2) {
      const uint16_t *from = warp.lanes<uint16_t>(rc[half]);
      for (unsigned i = 0; i < 2 * kLanes; ++i)
        rows[i] = halfToFloat(from[i]);
      continue;
    }
    const float *left = warp.lanes<float>(rc[2 * half]), *right = warp.lanes<float>(rc[2 * half + 1]);
    PEER_LANES {
      rows[2 * lane] = left[lane];
      rows[2 * lane + 1] = right[lane];
    }
  }
  for (unsigned m = 0; m < kRows; ++m) {
    float sum[kColumns];
    std::copy_n(c[m], kColumns, sum);
    for (unsigned k = 0; k < Depth; ++k)
      for (unsigned n = 0; n < kColumns; ++n)
        sum[n] += a[m / 8 + 2 * (k / kStep)][m % 8][k % kStep] * b[k][n];
    std::copy_n(sum, kColumns, c[m]);
  }
  for (unsigned half = 0; half < 2; ++half) {
    const float *rows = c[8 * half];
    if (inst.kind2) {
      uint16_t *to = warp.lanes<uint16_t>(d[half]);
      for (unsigned i = 0; i < 2 * kLanes; ++i)
        to[i] = floatToHalf(rows[i]);
      continue;
    }
    float *left = warp.lanes<float>(d[2 * half]), *right = warp.lanes<float>(d[2 * half + 1]);
    PEER_LANES {
      left[lane] = rows[2 * lane];
      right[lane] = rows[2 * lane + 1];
    }
  }
}

template <Element Kind, unsigned Depth>
void mmaLanes(Warp &warp, const Inst &inst, Mask) {
  multiply<Kind, Depth>(warp, inst);
}

#if defined(__x86_64__)
// Most of the time of models goes here. The instruction set is wider, what is computed the same: products and sums are rounded one by one.
template <Element Kind, unsigned Depth>
__attribute__((target("avx2"))) void wideMmaLanes(Warp &warp, const Inst &inst, Mask) {
  multiply<Kind, Depth>(warp, inst);
}
template <Element Kind, unsigned Depth>
Execute product() {
  static const bool wide = __builtin_cpu_supports("avx2");
  return wide ? wideMmaLanes<Kind, Depth> : mmaLanes<Kind, Depth>;
}
#else
template <Element Kind, unsigned Depth>
Execute product() {
  return mmaLanes<Kind, Depth>;
}
#endif

template <Element Kind>
Execute chooseDepth(unsigned depth) {
  if constexpr (Kind == Tf32Element)
    return depth == 4 ? product<Kind, 4>() : product<Kind, 8>();
  else
    return depth == 8 ? product<Kind, 8>() : product<Kind, 16>();
}

void mma(Form &form) {
  Inst &inst = form.inst;
  bool known = form.take("sync") && form.take("aligned") && form.take("row") && form.take("col");
  inst.size = form.take("m16n8k16") ? 16 : form.take("m16n8k8") ? 8 : form.take("m16n8k4") ? 4 : 0;
  Type d = form.type(), a = form.type(), b = form.type(), c = form.type();
  bool tf32 = a == Type::TF32;
  known &= inst.size != 0 && a == b && c == d && (tf32 ? inst.size <= 8 : inst.size >= 8) &&
           (tf32 || a == Type::F16 || a == Type::BF16);
  known &= d == Type::F32 || (d == Type::F16 && a == Type::F16);
  if (!known || !form.wantOperands(4, 4))
    return form.unknown();
  inst.kind2 = d == Type::F16;
  size_t registersB = inst.size / (tf32 ? 4 : 8), registersC = inst.kind2 ? 2 : 4;
  const size_t wanted[] = {registersC, 2 * registersB, registersB, registersC};
  std::vector<uint32_t> slots;
  for (size_t i = 0; i < 4; ++i) {
    const Operand &list = form.operand(i);
    std::vector<Operand> one{list};
    const std::vector<Operand> &parts = list.kind == Operand::Kind::List ? list.parts : one;
    if (parts.size() != wanted[i])
      return form.fail("operand ", i + 1, " needs ", wanted[i], " registers");
    Type type = i == 1 || i == 2 || inst.kind2 ? Type::B32 : Type::F32;
    for (const Operand &part : parts)
      slots.push_back(i == 0 ? form.destOf(part, type) : form.sourceOf(part, type));
  }
  inst.list = form.addList(slots);
  inst.s[5] = form.constant(kAllLanes);
  inst.control = Control::WarpSync;
  inst.run = tf32             ? chooseDepth<Tf32Element>(inst.size)
             : a == Type::F16 ? chooseDepth<HalfElement>(inst.size)
                              : chooseDepth<BfloatElement>(inst.size);
}
} // namespace

void addMatrixHandlers(HandlerTable &table) {
  table["ldmatrix"] = ldmatrix;
  table["mma"] = mma;
}

} // namespace peer::runtime::sim
