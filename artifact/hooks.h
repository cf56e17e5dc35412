// What compiled code counts where somebody asks, and the name of the hook that it counts with: as in format.h, for both sides.
#pragma once

namespace peer::format::symbol {
/// Behind each tile of a route: rows of scores (one per token, head and half), how many of them had no bounds, keys in all rows, how many of these
/// were scored in f32, and the bytes of keys read for that, each key once at most; all i64.
inline constexpr char kScored[] = "peer_rt_scored";
} // namespace peer::format::symbol
