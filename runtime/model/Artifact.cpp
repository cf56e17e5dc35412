#include "Artifact.h"

#include "Versions.h"
#include "artifact/format.h"
#include "core/FileKind.h"
#include "core/Hash.h"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace peer::runtime {

namespace {
/// The last bytes of the file, little endian as this machine is.
struct Footer {
  char magic[8];
  uint32_t version, zero32;
  uint64_t objectBytes, manifestBytes, checksum, descriptionBytes;
};
static_assert(sizeof(Footer) == format::kFooterBytes && offsetof(Footer, version) == format::kVersionAt &&
              offsetof(Footer, objectBytes) == format::kObjectBytesAt &&
              offsetof(Footer, manifestBytes) == format::kManifestBytesAt &&
              offsetof(Footer, checksum) == format::kChecksumAt &&
              offsetof(Footer, descriptionBytes) == format::kDescriptionBytesAt);

/// What follows the object.
struct Texts {
  std::string manifest, description;
};

/// Checks the file, and gives its texts as they are there.
Result<Texts> readTexts(const MappedFile &file, const std::string &path) {
  Footer footer{};
  if (file.size() == 0)
    return Status::error(path, " is empty");
  bool object = file.size() >= 4 && std::memcmp(file.data(),
                                                "\x7f"
                                                "ELF",
                                                4) == 0;
  if (file.size() >= sizeof footer)
    PEER_TRY(file.read(file.size() - sizeof footer, &footer, sizeof footer));
  if (std::memcmp(footer.magic, format::kMagic, sizeof format::kMagic) != 0) {
    if (object)
      return Status::error(path, " is truncated, or not a peer artifact: it does not end with an artifact's footer");
    PEER_TRY_ASSIGN(std::string kind, foreignKind(file));
    return Status::error(path, " is not a peer artifact", kind.empty() ? "" : ": it ", kind);
  }
  if (footer.version != format::kVersion && footer.version != format::kVersionWithout)
    return Status::error(path, " has artifact format ", footer.version, ", and this runtime reads formats ",
                         format::kVersionWithout, " and ", format::kVersion, "; compile the model again");
  if (footer.version == format::kVersionWithout)
    footer.descriptionBytes = 0;
  uint64_t body = file.size() - sizeof footer;
  if (footer.objectBytes > body || footer.manifestBytes > body - footer.objectBytes ||
      footer.descriptionBytes != body - footer.objectBytes - footer.manifestBytes)
    return Status::error(path, " is damaged: its footer speaks of ", footer.objectBytes, " + ", footer.manifestBytes,
                         footer.descriptionBytes ? concat(" + ", footer.descriptionBytes) : "", " bytes, and it has ",
                         body);
  std::string contents(body, '\0');
  PEER_TRY(file.read(0, contents.data(), body));
  if (fnv1a(contents.data(), body) != footer.checksum)
    return Status::error(path, " is damaged: its checksum does not match its contents");
  return Texts{contents.substr(footer.objectBytes, footer.manifestBytes),
               contents.substr(footer.objectBytes + footer.manifestBytes)};
}

/// Compiled code finds its hooks by name in the global scope. A program that itself was loaded with dlopen, or that loaded this library so,
/// would otherwise keep them out of sight.
void promoteThisLibrary() {
  static const bool done = [] {
    Dl_info info{};
    if (dladdr(reinterpret_cast<void *>(&promoteThisLibrary), &info) && info.dli_fname)
      dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
    return true;
  }();
  (void)done;
}
} // namespace

Result<Manifest> readManifest(const std::string &path) {
  PEER_TRY_ASSIGN(std::shared_ptr<MappedFile> file, MappedFile::open(path));
  PEER_TRY_ASSIGN(Texts texts, readTexts(*file, path));
  PEER_TRY_ASSIGN(Manifest manifest, parseManifest(texts.manifest, path));
  // Where no version runs here the first one is as good as any.
  (void)chooseVersion(manifest, std::getenv(kVersionVariable), path);
  return manifest;
}

Result<std::string> readDescription(const std::string &path) {
  PEER_TRY_ASSIGN(std::shared_ptr<MappedFile> file, MappedFile::open(path));
  PEER_TRY_ASSIGN(Texts texts, readTexts(*file, path));
  return std::move(texts.description);
}

Result<std::shared_ptr<Artifact>> Artifact::openManifest(const ModelFile &model) {
  const std::string &path = model.name;
  std::shared_ptr<Artifact> artifact(new Artifact);
  artifact->file = path;
  artifact->location = model.file;
  PEER_TRY_ASSIGN(artifact->source, MappedFile::open(model.file));
  PEER_TRY_ASSIGN(Texts texts, readTexts(*artifact->source, path));
  artifact->text = std::move(texts.manifest);
  PEER_TRY_ASSIGN(artifact->description, parseManifest(artifact->text, path));
  PEER_TRY(chooseVersion(artifact->description, std::getenv(kVersionVariable), path));
  return artifact;
}

Result<std::shared_ptr<Artifact>> Artifact::open(const ModelFile &model) {
  PEER_TRY_ASSIGN(std::shared_ptr<Artifact> artifact, openManifest(model));
  PEER_TRY(artifact->load());
  return artifact;
}

/// A path of a descriptor that no object has been loaded by: the loader keeps every name, and numbers of descriptors are used again. It takes
/// paths that differ for different ones, and finds out by the file whether it has the object.
static std::string freshPath(int descriptor) {
  static std::atomic<uint64_t> count = 0;
  std::string path = "/proc/self/fd/";
  for (uint64_t bits = ++count; bits != 0; bits >>= 1)
    path += bits % 2 == 1 ? ".//" : "./";
  return concat(path, descriptor);
}

Status Artifact::load() {
  promoteThisLibrary();
  // Without a slash dlopen would search the library path instead of the directory we are in.
  std::string name = location.find('/') == std::string::npos ? "./" + location : location;
  // The loader takes a name it knows for the object it knows, even when the file behind the name is another by now.
  if (void *known = dlopen(name.c_str(), RTLD_NOW | RTLD_NOLOAD)) {
    dlclose(known);
    name = freshPath(source->descriptorNumber());
  }
  handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *error = dlerror();
    std::string why = error ? error : "unknown reason";
    struct statvfs mount{};
    bool noexec = fstatvfs(source->descriptorNumber(), &mount) == 0 && (mount.f_flag & ST_NOEXEC);
    PEER_TRY(noexec ? loadCopy(why) : Status::error("cannot load the code of ", file, ": ", why));
  }
  auto find = [&](const Entry &entry) -> Status {
    void *address = dlsym(handle, entry.symbol.c_str());
    if (!address)
      return Status::error(file, " is damaged: the code of entry \"", entry.name, "\" (symbol ", entry.symbol,
                           ") is missing");
    functions[entry.name] = reinterpret_cast<EntryFunction>(address);
    return {};
  };
  for (const auto *entries : {&description.entries, &description.derivations})
    for (const Entry &entry : *entries)
      PEER_TRY(find(entry));
  return {};
}

/// From a file system mounted noexec nothing can be mapped as code; from a file in memory it can, unless that is forbidden, too.
Status Artifact::loadCopy(const std::string &why) {
  auto failure = [&](const std::string &second) {
    return Status::error("cannot load the code of ", file, ": it is on a file system mounted noexec (", why,
                         "), and a copy in memory cannot be executed either (", second,
                         "); copy it to a file system without noexec");
  };
  copy = memfd_create("peer-artifact", MFD_CLOEXEC);
  if (copy < 0)
    return failure(std::strerror(errno));
  for (uint64_t at = 0; at < source->size();) {
    ssize_t put = ::write(copy, source->data() + at, source->size() - at);
    if (put < 0 && errno == EINTR)
      continue;
    if (put <= 0)
      return failure(std::strerror(put < 0 ? errno : ENOSPC));
    at += static_cast<uint64_t>(put);
  }
  handle = dlopen(freshPath(copy).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle)
    return {};
  const char *error = dlerror();
  return failure(error ? error : "unknown reason");
}

Artifact::~Artifact() {
  if (handle)
    dlclose(handle);
  if (copy >= 0)
    close(copy);
}

std::span<const std::byte> Artifact::cubin() const {
  if (!handle)
    return {};
  const auto *data = static_cast<const std::byte *>(dlsym(handle, format::symbol::kCubin));
  const auto *bytes = static_cast<const uint64_t *>(dlsym(handle, format::symbol::kCubinSize));
  if (!data || !bytes)
    return {};
  return {data, static_cast<size_t>(*bytes)};
}

EntryFunction Artifact::function(const Entry &entry) const { return functions.find(entry.name)->second; }

} // namespace peer::runtime
