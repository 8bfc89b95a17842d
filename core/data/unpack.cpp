#include "core/data/unpack.h"

#include <vector>

#include "core/base/error.h"

#ifdef TANDEM_ZLIB
#include <zlib.h>
#endif
#ifdef TANDEM_ZSTD
#include <zstd.h>
#endif

namespace tandem {
namespace {

// The packed bytes that were read and not used yet.
class Packed {
 public:
  Packed(std::string path, std::unique_ptr<ByteSource> source)
      : path_(std::move(path)), source_(std::move(source)), buffer_(kBuffer) {}

  // What is there; reads on where all was used. Empty at the end of the file.
  std::span<char> bytes() {
    if (used_ == size_) {
      offset_ += size_;
      used_ = 0;
      size_ = source_->read(buffer_);
    }
    return std::span(buffer_).subspan(used_, size_ - used_);
  }
  void use(size_t bytes) { used_ += bytes; }

  [[noreturn]] void fail_cut() const {
    fail(Exit::input, path_, "offset {}: ends inside its compressed data; it was cut", offset_ + used_);
  }
  [[noreturn]] void fail_damaged(std::string_view why) const {
    fail(Exit::input, path_, "offset {}: cannot be unpacked: {}", offset_ + used_, why);
  }

 private:
  static constexpr size_t kBuffer = 1 << 18;  // bytes; a smaller one takes more calls

  std::string path_;
  std::unique_ptr<ByteSource> source_;
  std::vector<char> buffer_;
  size_t used_ = 0, size_ = 0;
  uint64_t offset_ = 0;  // the buffer's place in the file
};

// What one call of a library did.
struct Unpacked {
  size_t used = 0, made = 0;  // bytes of the packed ones, and of the text
  bool between = false;       // behind a member or frame, where another one may begin or the file may end
  bool full = false;          // the library may hold more than there was room for
  std::string_view damage;    // empty: none
};

// Unpacks member after member; a library does one step.
class Unpacker : public ByteSource {
 public:
  Unpacker(const std::string& path, std::unique_ptr<ByteSource> source) : packed_(path, std::move(source)) {}

  size_t read(std::span<char> to) override {
    size_t done = 0;
    while (done < to.size()) {
      const std::span<char> in = packed_.bytes();
      if (in.empty() && !last_.full) {
        if (!last_.between) packed_.fail_cut();
        break;
      }
      last_ = step(in, to.subspan(done), last_.between);
      packed_.use(last_.used);
      if (!last_.damage.empty()) packed_.fail_damaged(last_.damage);
      done += last_.made;
    }
    return done;
  }

 private:
  // begins: in is the start of another member
  virtual Unpacked step(std::span<char> in, std::span<char> out, bool begins) = 0;

  Packed packed_;
  Unpacked last_;
};

#ifdef TANDEM_ZLIB
class Gz : public Unpacker {
 public:
  Gz(const std::string& path, std::unique_ptr<ByteSource> source) : Unpacker(path, std::move(source)) {
    constexpr int kGzip = 16 + MAX_WBITS;  // a gzip header, and its check sum
    if (inflateInit2(&stream_, kGzip) != Z_OK) throw std::bad_alloc();
  }
  ~Gz() override { inflateEnd(&stream_); }

 private:
  Unpacked step(std::span<char> in, std::span<char> out, bool begins) override {
    if (begins) inflateReset(&stream_);
    const auto room = uInt(std::min<size_t>(out.size(), 1 << 30));
    stream_.next_in = reinterpret_cast<Bytef*>(in.data());
    stream_.avail_in = uInt(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = room;
    const int result = inflate(&stream_, Z_NO_FLUSH);
    Unpacked step{.used = in.size() - stream_.avail_in,
                  .made = room - stream_.avail_out,
                  .between = result == Z_STREAM_END,
                  .full = result == Z_OK && stream_.avail_out == 0};
    const bool nothing_left = result == Z_BUF_ERROR;  // there was no more output
    if (result != Z_OK && result != Z_STREAM_END && !nothing_left)
      step.damage = stream_.msg != nullptr ? stream_.msg : "no gzip data";
    return step;
  }

  z_stream stream_ = {};
};
#endif

#ifdef TANDEM_ZSTD
class Zst : public Unpacker {
 public:
  Zst(const std::string& path, std::unique_ptr<ByteSource> source)
      : Unpacker(path, std::move(source)), stream_(ZSTD_createDStream()) {
    if (stream_ == nullptr) throw std::bad_alloc();
  }
  ~Zst() override { ZSTD_freeDStream(stream_); }

 private:
  Unpacked step(std::span<char> in, std::span<char> out, bool) override {
    ZSTD_inBuffer from{in.data(), in.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    const size_t result = ZSTD_decompressStream(stream_, &to, &from);
    Unpacked step{.used = from.pos, .made = to.pos, .between = result == 0};
    step.full = !step.between && to.pos == to.size;
    if (ZSTD_isError(result)) step.damage = ZSTD_getErrorName(result);
    return step;
  }

  ZSTD_DStream* stream_;
};
#endif

}  // namespace

std::unique_ptr<ByteSource> unpack_gz(const std::string& path, std::unique_ptr<ByteSource> packed) {
#ifdef TANDEM_ZLIB
  return std::make_unique<Gz>(path, std::move(packed));
#else
  fail(Exit::configuration, path, "is compressed by gzip, and this build has no zlib; unpack it, or pipe it into -");
#endif
}

std::unique_ptr<ByteSource> unpack_zst(const std::string& path, std::unique_ptr<ByteSource> packed) {
#ifdef TANDEM_ZSTD
  return std::make_unique<Zst>(path, std::move(packed));
#else
  fail(Exit::configuration, path, "is compressed by zstd, and this build has no libzstd; unpack it, or pipe it into -");
#endif
}

}  // namespace tandem
