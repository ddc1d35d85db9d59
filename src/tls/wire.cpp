#include "wire.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace levada::detail {
namespace {

// Memory that a silent connection keeps for its next write.
constexpr std::size_t most_kept = 20 * 1024;

tls_wire& of(BIO* bio) noexcept {
    ::BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    return *static_cast<tls_wire*>(::BIO_get_data(bio));
}

} // namespace

const BIO_METHOD* tls_wire::method() {
    static const BIO_METHOD* const made = [] {
        BIO_METHOD* const m = ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "levada");
        if (!m) throw std::bad_alloc();
        ::BIO_meth_set_read(m, &read);
        ::BIO_meth_set_write(m, &write);
        ::BIO_meth_set_ctrl(m, &task_block);
        return m;
    }();
    return made;
}

void tls_wire::attach(SSL* ssl) {
    BIO* const bio = ::BIO_new(method());
    if (!bio) throw std::bad_alloc();
    ::BIO_set_data(bio, this);
    ::BIO_set_init(bio, 1);
    ::SSL_set_bio(ssl, bio, bio);
}

int tls_wire::read(BIO* bio, char* to, int most) noexcept {
    tls_wire& w = of(bio);
    const std::size_t n = std::min(w.arrived_.size() - w.used_, static_cast<std::size_t>(std::max(most, 0)));
    if (n == 0) {
        ::BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
        return -1;
    }
    std::memcpy(to, w.arrived_.bytes().data() + w.used_, n);
    w.used_ += n;
    if (w.used_ == w.arrived_.size()) {
        w.arrived_.reset();
        w.used_ = 0;
    }
    return static_cast<int>(n);
}

int tls_wire::write(BIO* bio, const char* from, int length) noexcept {
    tls_wire& w = of(bio);
    const auto bytes = std::as_bytes(std::span(from, static_cast<std::size_t>(std::max(length, 0))));
    try {
        w.made_.insert(w.made_.end(), bytes.begin(), bytes.end());
    } catch (const std::bad_alloc&) { // may not go through OpenSSL
        errno = ENOMEM;
        return -1;
    }
    w.made_in_all_ += bytes.size();
    return length;
}

long tls_wire::task_block(BIO*, int what, long, void*) noexcept { return what == BIO_CTRL_FLUSH ? 1 : 0; }

void tls_wire::arrives(io_buffer bytes) noexcept {
    arrived_ = std::move(bytes);
    used_ = 0;
    ++arrivals_;
}

std::span<const std::byte> tls_wire::unsent() noexcept {
    if (sent_ == sending_.size()) {
        sending_.clear();
        sent_ = 0;
        // When both are empty the larger one is for what is made next, so the other stays small.
        if (!made_.empty() || made_.capacity() < sending_.capacity()) std::swap(sending_, made_);
    }
    return std::span<const std::byte>(sending_).subspan(sent_);
}

void tls_wire::sent(std::size_t n) noexcept {
    sent_ += n;
    sent_in_all_ += n;
}

void tls_wire::reserve(std::size_t n) {
    made_.reserve(made_.size() + n + n / 64 + 256); // a record holds 16 KiB, and has some 100 bytes more
}

void tls_wire::release() noexcept {
    if (made_.empty() && made_.capacity() > most_kept) std::vector<std::byte>().swap(made_);
}

} // namespace levada::detail
