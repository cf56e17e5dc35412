// Arithmetic with carry: add.cc, addc, sub.cc, subc, mad.cc, madc. The carry flag is a predicate that a program has once.

#include "Lanes.h"

namespace peer::runtime::sim {

namespace {
enum Operation : uint8_t { Add, Sub, MadLow, MadHigh };
enum Carry : uint8_t { Reads = 1, Writes = 2 };

/// s[0] result, s[1] to s[3] sources, s[4] the flag; kind is the operation, kind2 what it does with the flag.
template <typename T>
void carryLanes(Warp &warp, const Inst &inst, Mask mask) {
  using U = std::make_unsigned_t<T>;
  const T *a = warp.lanes<T>(inst.s[1]), *b = warp.lanes<T>(inst.s[2]);
  const U *c = warp.lanes<U>(inst.s[3]);
  Mask carries = inst.kind2 & Reads ? warp.predicate(inst.s[4]) : 0, next = 0;
  writeLanes<U>(warp, inst.s[0], mask, [&](unsigned lane) {
    U x = static_cast<U>(a[lane]), y = static_cast<U>(b[lane]), carry = in(carries, lane), r;
    bool out;
    if (inst.kind == Sub) {
      r = x - y - carry;
      out = x < y || (carry && x == y);
    } else {
      if (inst.kind != Add) {
        x = inst.kind == MadLow ? x * y : static_cast<U>(mulHigh(a[lane], b[lane]));
        y = c[lane];
      }
      r = x + y + carry;
      out = r < x || (carry && r == x);
    }
    next |= Mask{out} << lane;
    return r;
  });
  if (inst.kind2 & Writes)
    warp.setPredicate(inst.s[4], next, mask);
}
} // namespace

void decodeCarry(Form &form) {
  Inst &inst = form.inst;
  std::string_view name = form.name();
  bool mad = name.starts_with("mad");
  inst.kind2 = static_cast<uint8_t>((name.ends_with("c") ? Reads : 0) | (form.take("cc") ? Writes : 0));
  inst.kind = name.starts_with("add") ? Add : name.starts_with("sub") ? Sub : form.take("lo") ? MadLow : MadHigh;
  if (inst.kind == MadHigh && !form.take("hi"))
    return form.unknown();
  Type type = form.type();
  sameTypeOperands(form, type, mad ? 3 : 2);
  inst.s[4] = form.carry();
  withInteger(type, [&](auto t) {
    if constexpr (sizeof(t) >= 4)
      inst.run = carryLanes<decltype(t)>;
  });
}

} // namespace peer::runtime::sim
