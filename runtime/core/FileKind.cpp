#include "FileKind.h"

#include "Memory.h"
#include "Tensor.h"

#include <algorithm>
#include <cstring>

namespace peer::runtime {

namespace {
using namespace std::string_view_literals;

/// As much as any of the marks below needs.
constexpr uint64_t kHeadBytes = 4096;

constexpr const char *kConvert = "convert it with the Python package safetensors (safetensors.torch.save_file)";

struct Magic {
  std::string_view bytes;
  std::string kind;
};

std::string zipKind(std::string_view head) {
  // The name of the first member follows 30 bytes of header.
  if (head.find(".npy") < 200)
    return "is a NumPy archive (.npz): convert it with the Python package safetensors (safetensors.numpy.save_file)";
  if (head.find("data.pkl"sv) < 400 || head.find("/version"sv) < 400 || head.find("/byteorder"sv) < 400 ||
      head.find(".format_version"sv) < 400)
    return concat("is a PyTorch checkpoint (a zip of pickles): ", kConvert);
  return "is a zip archive: unpack it, and give the safetensors file in it";
}

std::string lfsKind(std::string_view head) {
  size_t at = head.find("\nsize ");
  uint64_t bytes = 0;
  if (at != std::string_view::npos)
    for (char c : head.substr(at + 6)) {
      if (c < '0' || c > '9' || bytes > UINT64_MAX / 100)
        break;
      bytes = bytes * 10 + static_cast<uint64_t>(c - '0');
    }
  return concat("is a Git LFS pointer to a file", bytes ? concat(" of ", bytesText(bytes)) : "",
                ", not that file: run git lfs pull");
}

std::string textKind(std::string_view head) {
  size_t begin = head.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  if (begin == std::string_view::npos)
    return "";
  std::string text(head.substr(begin));
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (text.starts_with("<!doctype html") || text.starts_with("<html"))
    return "is an HTML page, not the file it was downloaded for: the address wanted a login, or was that of a page "
           "about it";
  if (text.starts_with("<?xml") || text.starts_with("<error>"))
    return "is an XML document, perhaps what a server answered instead of the file";
  bool describes = text.starts_with("func.func") || text.starts_with("module") || text.starts_with("//");
  if (describes && (text.find("peer.") != std::string::npos || text.find("func.func") != std::string::npos))
    return "is a model description: compile it with peer-opt --target=cpu -o MODEL.peer";
  if (text.starts_with("{"))
    return "is a JSON document";
  return "";
}
} // namespace

Result<std::string> foreignKind(const MappedFile &file) {
  if (file.size() == 0)
    return std::string("is empty");
  std::string bytes(std::min(file.size(), kHeadBytes), '\0');
  PEER_TRY(file.read(0, bytes.data(), bytes.size()));
  std::string_view head = bytes;
  if (head.starts_with("version https://git-lfs"))
    return lfsKind(head);
  if (head.starts_with("PK\x03\x04"))
    return zipKind(head);
  const Magic magics[] = {
      {"\x7f"
       "ELF"sv,
       "is an ELF object, such as an artifact (MODEL.peer), not a weights file"},
      {"GGUF"sv, "is a GGUF file of llama.cpp: give the safetensors file that it was made from"},
      {"\x1f\x8b"sv, "is compressed with gzip: unpack it first (gunzip)"},
      {"\x28\xb5\x2f\xfd"sv, "is compressed with zstd: unpack it first (unzstd)"},
      {"\xfd"
       "7zXZ\0"sv,
       "is compressed with xz: unpack it first (unxz)"},
      {"BZh"sv, "is compressed with bzip2: unpack it first (bunzip2)"},
      {"7z\xbc\xaf\x27\x1c"sv, "is a 7z archive: unpack it first"},
      {"\x93NUMPY"sv,
       "is a NumPy array (.npy): convert it with the Python package safetensors (safetensors.numpy.save_file)"},
      {"\x89HDF\r\n"sv, "is an HDF5 file: convert its tensors with the Python package safetensors"},
  };
  for (const Magic &magic : magics)
    if (head.starts_with(magic.bytes))
      return magic.kind;
  // A pickle of protocol 2 to 5 begins with its number; what PyTorch wrote before 1.6 is a series of them.
  if (head.size() >= 3 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5)
    return concat("is a Python pickle, as PyTorch's .bin and .pt files are: ", kConvert);
  if (head.size() >= 262 && head.substr(257, 5) == "ustar")
    return std::string("is a tar archive: unpack it, and give the file in it");
  if (head.find_first_not_of('\0') == std::string_view::npos)
    return std::string("begins with nothing but zeros: a download or a copy of it was cut off");
  uint64_t header = 0;
  if (head.size() > 8) {
    std::memcpy(&header, head.data(), 8);
    if (head[8] == '{' && header >= 2 && header <= file.size() - 8)
      return std::string(kSafetensorsKind);
  }
  return textKind(head);
}

} // namespace peer::runtime
