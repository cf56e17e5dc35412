#include "FileKind.h"

#include "Memory.h"
#include "Tensor.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace peer::runtime {

namespace {
using namespace std::string_view_literals;

/// As much as any of the marks below needs.
constexpr uint64_t kHeadBytes = 4096;

constexpr const char *kConvert = "convert it with the Python package safetensors (safetensors.torch.save_file)";

constexpr std::string_view kLfs = "version https://git-lfs";

/// A format whose files begin with `bytes`.
struct Format {
  std::string_view bytes;
  /// To be unpacked, not read.
  bool archive;
  /// What a file of it is, to follow its path, and the cure.
  std::string kind;
};

const std::vector<Format> &formats() {
  static const std::vector<Format> known = {
      {"\x7f"
       "ELF"sv,
       false, "is an ELF object, such as an artifact (MODEL.peer), not a weights file"},
      {"GGUF"sv, false, "is a GGUF file of llama.cpp: give the safetensors file that it was made from"},
      {"\x93NUMPY"sv, false,
       "is a NumPy array (.npy): convert it with the Python package safetensors (safetensors.numpy.save_file)"},
      {"\x89HDF\r\n"sv, false, "is an HDF5 file: convert its tensors with the Python package safetensors"},
      {"%PDF-"sv, false, "is a PDF document"},
      {"GIF8"sv, false, "is an image"},
      {"\xff\xd8\xff"sv, false, "is an image"},
      {"\x89PNG\r\n"sv, false, "is an image"},
      {"PK\x03\x04"sv, true, ""},
      {"PK\x05\x06"sv, true, "is an empty zip archive"},
      {"\x1f\x8b"sv, true, "is compressed with gzip: unpack it first (gunzip)"},
      {"\x28\xb5\x2f\xfd"sv, true, "is compressed with zstd: unpack it first (unzstd)"},
      {"\xfd"
       "7zXZ\0"sv,
       true, "is compressed with xz: unpack it first (unxz)"},
      {"BZh"sv, true, "is compressed with bzip2: unpack it first (bunzip2)"},
      {"\x04\x22\x4d\x18"sv, true, "is compressed with lz4: unpack it first (unlz4)"},
      {"LZIP"sv, true, "is compressed with lzip: unpack it first (lunzip)"},
      {"\x1f\x9d"sv, true, "is compressed with compress: unpack it first (uncompress)"},
      {"7z\xbc\xaf\x27\x1c"sv, true, "is a 7z archive: unpack it first"},
      {"Rar!"sv, true, "is a RAR archive: unpack it first"},
      {"!<arch>\n"sv, true, "is an ar archive: unpack it first"},
  };
  return known;
}

const Format *findFormat(std::string_view head) {
  for (const Format &format : formats())
    if (head.starts_with(format.bytes))
      return &format;
  return nullptr;
}

/// A pickle of protocol 2 to 5 begins with its number; what PyTorch wrote before 1.6 is a series of them.
bool isPickle(std::string_view head) { return head.size() >= 3 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5; }

bool isTar(std::string_view head) { return head.size() >= 262 && head.substr(257, 5) == "ustar"; }

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
/// UTF-16 or UTF-32, by its mark or by where its zero bytes are.
std::string_view wideKind(std::string_view text) {
  if (text.starts_with("\xff\xfe\0\0"sv) || text.starts_with("\0\0\xfe\xff"sv))
    return "UTF-32 file";
  if (text.starts_with("\xff\xfe"sv) || text.starts_with("\xfe\xff"sv))
    return "UTF-16 file";
  size_t zeros[4] = {}, units = text.size() / 4;
  for (size_t i = 0; i < units * 4; ++i)
    zeros[i % 4] += text[i] == 0;
  if (units < 2)
    return "";
  // Letters of most scripts have a zero in each half; those of any script have one in each quarter or two.
  auto most = [&](size_t place) { return zeros[place] * 10 >= units * 7; };
  auto few = [&](size_t place) { return zeros[place] * 50 <= units; };
  if ((few(0) && most(1) && most(2) && most(3) && zeros[3] == units) ||
      (few(3) && most(2) && most(1) && zeros[0] == units))
    return "UTF-32 file";
  if ((few(0) && most(1) && few(2) && most(3)) || (most(0) && few(1) && most(2) && few(3)))
    return "UTF-16 file";
  return "";
}

} // namespace

Result<std::string> foreignKind(const MappedFile &file) {
  if (file.size() == 0)
    return std::string("is empty");
  std::string bytes(std::min(file.size(), kHeadBytes), '\0');
  PEER_TRY(file.read(0, bytes.data(), bytes.size()));
  std::string_view head = bytes;
  if (head.starts_with(kLfs))
    return lfsKind(head);
  if (const Format *format = findFormat(head))
    return format->kind.empty() ? zipKind(head) : format->kind;
  if (isPickle(head))
    return concat("is a Python pickle, as PyTorch's .bin and .pt files are: ", kConvert);
  if (isTar(head))
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

std::string_view kindOfContents(std::string_view beginning) {
  std::string_view text = beginning.substr(0, kContentsBytes);
  if (text.starts_with(kLfs))
    return "Git LFS pointer";
  const Format *format = findFormat(text);
  if ((format && format->archive) || isTar(text))
    return "archive";
  if (std::string_view wide = wideKind(text); !wide.empty())
    return wide;
  // A text may begin with the word GGUF; those files have zero bytes.
  bool named = isPickle(text) || (format && format->bytes != "GGUF");
  return named || text.find('\0') != text.npos ? "binary file" : "";
}

} // namespace peer::runtime
