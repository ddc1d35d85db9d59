#include "connection.hpp"

#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include <levada/channel/select.hpp>

#include "shared.hpp"

namespace levada::detail {
namespace {

// What a write has OpenSSL encrypt before it is sent.
constexpr std::size_t most_at_once = 64 * 1024;
// Answers that a peer may have us make and leave unread.
constexpr std::size_t most_answers = 64 * 1024;

std::error_code broken_pipe() noexcept { return std::make_error_code(std::errc::broken_pipe); }

} // namespace

// ---- under the guard

tls_connection::tls_connection(tls_context context, tcp_stream socket)
    : shared_(std::move(context.shared_)),
      socket_(std::move(socket)),
      ssl_(::SSL_new(shared_->context.get())) {
    if (!ssl_) throw std::bad_alloc();
    wire_.attach(ssl_.get());
}

std::error_code tls_connection::why_failed(int error) noexcept {
    const unsigned long last = ::ERR_peek_last_error();
    if (error == SSL_ERROR_SYSCALL && last == 0) // of the wire
        return std::make_error_code(std::errc::not_enough_memory);
    if (ERR_GET_LIB(last) == ERR_LIB_SSL && ERR_GET_REASON(last) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        const long verified = ::SSL_get_verify_result(ssl_.get());
        ::ERR_clear_error();
        if (verified != X509_V_OK) return {static_cast<int>(verified), certificate_category()};
    }
    return take_openssl_error();
}

template <class F>
tls_connection::step tls_connection::call(const F& f) noexcept {
    step s;
    s.arrivals = wire_.arrivals();
    if (failed_) {
        s.what = outcome::failed;
        s.why = failed_;
        return s;
    }
    ::ERR_clear_error();
    const int r = f(ssl_.get(), s.count);
    if (r > 0) return s;
    const int error = ::SSL_get_error(ssl_.get(), r);
    if (error == SSL_ERROR_WANT_READ) {
        s.what = outcome::needs_bytes;
    } else if (error == SSL_ERROR_ZERO_RETURN) {
        s.what = outcome::ended;
    } else {
        s.what = outcome::failed;
        s.why = failed_ = why_failed(error);
        if (!carried_) send_without_waiting(); // an alert
    }
    return s;
}

bool tls_connection::owes_answers() noexcept {
    if (send_failed_ || wire_.sent_in_all() >= answered_to_) {
        answers_ = 0;
        return false;
    }
    return true;
}

void tls_connection::send_without_waiting() noexcept {
    for (auto next = wire_.unsent(); !next.empty(); next = wire_.unsent()) {
        const ssize_t n =
            ::send(socket_.native_handle(), next.data(), next.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            if (errno != EAGAIN) send_failed_ = last_error().error();
            return;
        }
        wire_.sent(static_cast<std::size_t>(n));
    }
}

bool tls_connection::is_broken() const noexcept { return cut_ || ended_ || send_failed_; }

tls_connection::step tls_connection::broken() noexcept {
    step s;
    s.what = outcome::failed;
    s.why = broken_pipe();
    return s;
}

tls_connection::step tls_connection::read_now(std::span<std::byte> to) {
    const std::lock_guard held(guard_);
    const std::uint64_t made_before = wire_.made_in_all();
    step s = call([to](SSL* ssl, std::size_t& n) { return ::SSL_read_ex(ssl, to.data(), to.size(), &n); });
    if (wire_.made_in_all() != made_before) {
        answered_to_ = wire_.made_in_all();
        answers_ += static_cast<std::size_t>(wire_.made_in_all() - made_before);
    }
    if (!owes_answers()) return s;
    if (!carried_) send_without_waiting();
    if (owes_answers() && answers_ > most_answers && !failed_) {
        s.what = outcome::failed;
        s.why = failed_ = std::make_error_code(std::errc::no_buffer_space);
    }
    return s;
}

tls_connection::step tls_connection::write_now(std::span<const std::byte> from) {
    from = from.first(std::min(from.size(), most_at_once));
    const std::lock_guard held(guard_);
    if (is_broken()) return broken();
    if (from.empty()) return {};
    wire_.reserve(from.size());
    return call(
        [from](SSL* ssl, std::size_t& n) { return ::SSL_write_ex(ssl, from.data(), from.size(), &n); });
}

tls_connection::step tls_connection::end_now() {
    const std::lock_guard held(guard_);
    step s;
    if (ended_) return s;
    if (is_broken()) return broken();
    s = call([](SSL* ssl, std::size_t&) {
        // In the middle of a message of the peer's about the handshake OpenSSL does not end it.
        if (::SSL_in_init(ssl)) {
            const int r = ::SSL_do_handshake(ssl);
            if (r <= 0) return r;
        }
        return ::SSL_shutdown(ssl) >= 0 ? 1 : -1;
    });
    ended_ = s.what == outcome::done;
    return s;
}

tls_connection::step tls_connection::agree_now() {
    const std::lock_guard held(guard_);
    return call([](SSL* ssl, std::size_t&) { return ::SSL_do_handshake(ssl); });
}

// ---- the way to the socket

/// Carries what has been made: marks it, and what it has to leave behind.
class tls_connection::carrier {
public:
    explicit carrier(tls_connection& c) noexcept : connection_(c) {}
    ~carrier() {
        {
            const std::lock_guard held(connection_.guard_);
            if (!connection_.carried_) return;
            connection_.carried_ = false;
        }
        connection_.left_.set();
    }
    carrier(const carrier&) = delete;
    carrier& operator=(const carrier&) = delete;

private:
    tls_connection& connection_;
};

std::span<const std::byte> tls_connection::next_to_carry(std::size_t sent) noexcept {
    const std::lock_guard held(guard_);
    wire_.sent(sent);
    const auto next = wire_.unsent();
    carried_ = !next.empty();
    return next;
}

/// Sends all that has been made, and is made meanwhile; with `writing_` held.
task<result<void>> tls_connection::carry() {
    const carrier c(*this);
    std::size_t sent = 0;
    for (;;) {
        const auto next = next_to_carry(sent);
        if (next.empty()) co_return result<void>();
        auto taken = co_await socket_.write(next);
        if (!taken) {
            const std::lock_guard held(guard_);
            send_failed_ = taken.error();
            co_return fail(taken.error());
        }
        sent = *taken;
    }
}

/// Marks a stream cut, unless the write comes to its end.
class tls_connection::part_written {
public:
    explicit part_written(tls_connection& c) noexcept : connection_(c) {}
    ~part_written() {
        const std::lock_guard held(connection_.guard_);
        if (begun_) connection_.cut_ = true;
        connection_.wire_.release();
    }
    part_written(const part_written&) = delete;
    part_written& operator=(const part_written&) = delete;
    void begins() noexcept { begun_ = true; }
    void is_whole() noexcept { begun_ = false; }

private:
    tls_connection& connection_;
    bool begun_ = false;
};

task<result<std::size_t>> tls_connection::write_all(std::span<const std::byte> from) {
    const auto turn = co_await writing_.lock();
    part_written part(*this);
    std::size_t written = 0;
    do {
        const step put = write_now(from.subspan(written));
        if (put.what == outcome::failed) co_return fail(put.why);
        if (put.what == outcome::ended) co_return fail(broken_pipe());
        if (put.what == outcome::needs_bytes) { // the rest of a message about the handshake
            auto fetched = co_await answer_and_fetch(put.arrivals);
            if (!fetched) co_return fail(fetched.error());
            continue;
        }
        if (put.count == 0) break;
        part.begins();
        auto carried = co_await carry();
        if (!carried) co_return fail(carried.error());
        written += put.count;
    } while (written < from.size());
    part.is_whole();
    co_return written;
}

task<result<void>> tls_connection::shutdown_write() {
    const auto turn = co_await writing_.lock();
    for (;;) {
        const step done = end_now();
        if (done.what == outcome::failed) co_return fail(done.why);
        if (done.what == outcome::ended) co_return fail(broken_pipe());
        if (done.what == outcome::needs_bytes) {
            auto fetched = co_await answer_and_fetch(done.arrivals);
            if (!fetched) co_return fail(fetched.error());
            continue;
        }
        auto carried = co_await carry();
        if (!carried) co_return fail(carried.error());
        co_return co_await socket_.shutdown_write();
    }
}

// ---- the way from the socket

/// Nothing if there was room, or is nobody who carries any more: then answers can be sent.
task<std::optional<result<io_buffer>>> tls_connection::receive_or_answer(bool carried) {
    if (carried) {
        auto first = co_await select(socket_.receive(), left_.wait());
        if (first.index() == 0) co_return std::move(get<0>(first));
    } else {
        auto first = co_await select(socket_.receive(), poll_descriptor(socket_.native_handle(), POLLOUT));
        if (first.index() == 0) co_return std::move(get<0>(first));
    }
    co_return std::nullopt;
}

task<result<void>> tls_connection::fetch(std::uint64_t arrivals) {
    const auto turn = co_await fetching_.lock();
    bool owing = false, carried = false;
    {
        const std::lock_guard held(guard_);
        if (wire_.arrivals() != arrivals) co_return result<void>();
        owing = owes_answers();
        carried = carried_;
        if (owing && carried) left_.reset(); // before the one who carries may leave
    }
    std::optional<result<io_buffer>> arrived;
    if (owing) {
        arrived = co_await receive_or_answer(carried);
        if (!arrived) co_return result<void>();
    } else {
        auto next = co_await socket_.receive();
        arrived = std::move(next);
    }
    if (!*arrived) {
        if (arrived->error() == errc::closed)
            co_return fail(std::make_error_code(std::errc::connection_aborted));
        co_return fail(arrived->error());
    }
    const std::lock_guard held(guard_);
    wire_.arrives(std::move(**arrived));
    co_return result<void>();
}

/// For a writer: what reads owe the peer is sent first, since nobody else may send it while `writing_` is
/// held.
task<result<void>> tls_connection::answer_and_fetch(std::uint64_t arrivals) {
    auto carried = co_await carry();
    if (!carried) co_return fail(carried.error());
    co_return co_await fetch(arrivals);
}

task<result<std::size_t>> tls_connection::read(std::span<std::byte> to) {
    if (to.empty()) co_return std::size_t(0);
    for (;;) {
        const step got = read_now(to);
        if (got.what == outcome::done) co_return got.count;
        if (got.what == outcome::ended) co_return std::size_t(0);
        if (got.what == outcome::failed) co_return fail(got.why);
        auto fetched = co_await fetch(got.arrivals);
        if (!fetched) co_return fail(fetched.error());
    }
}

// ---- agreeing

bool tls_connection::begin_as_server() {
    if (!shared_->server) return false;
    ::SSL_set_accept_state(ssl_.get());
    return true;
}

bool tls_connection::begin_as_client(std::string host) {
    SSL* const ssl = ssl_.get();
    if (shared_->server) return false;
    ::SSL_set_connect_state(ssl);
    if (!host.empty() && host.back() == '.') host.pop_back(); // of a name that is absolute
    // OpenSSL takes an empty name for any, one with a dot in front for all below it, and reads up to a 0; a
    // star is of certificates.
    if (host.empty() || host.front() == '.' || host.find_first_of(std::string_view("\0*", 2)) != host.npos)
        return false;
    const bool is_number =
        host != "localhost" &&
        socket_address::parse(host.find(':') == std::string::npos ? host + ":0" : "[" + host + "]:0")
            .has_value();
    if (is_number) return ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(ssl), host.c_str()) == 1;
    ::SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return ::SSL_set1_host(ssl, host.c_str()) == 1 &&
           // The macro for it has an old cast.
           ::SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host.data()) == 1;
}

bool tls_connection::chose_what_was_offered() {
    const std::string chosen = alpn();
    if (shared_->server || chosen.empty()) return true;
    const std::string& offered = shared_->alpn;
    for (std::size_t at = 0; at < offered.size();) {
        const auto length = static_cast<std::size_t>(static_cast<unsigned char>(offered[at]));
        if (std::string_view(offered).substr(at + 1, length) == chosen) return true;
        at += 1 + length;
    }
    return false;
}

task<result<void>> tls_connection::agree() {
    const auto turn = co_await writing_.lock();
    for (;;) {
        const step done = agree_now();
        if (done.what == outcome::failed) co_return fail(done.why);
        if (done.what == outcome::ended) co_return fail(std::make_error_code(std::errc::connection_aborted));
        auto carried = co_await carry();
        if (!carried) co_return fail(carried.error());
        if (done.what == outcome::done) {
            if (!chose_what_was_offered()) co_return fail(std::make_error_code(std::errc::protocol_error));
            co_return result<void>();
        }
        auto fetched = co_await fetch(done.arrivals);
        if (!fetched) co_return fail(fetched.error());
    }
}

// ---- what was agreed on

std::string tls_connection::version() {
    const std::lock_guard held(guard_);
    return ::SSL_get_version(ssl_.get());
}

std::string tls_connection::alpn() {
    const std::lock_guard held(guard_);
    const unsigned char* chosen = nullptr;
    unsigned length = 0;
    ::SSL_get0_alpn_selected(ssl_.get(), &chosen, &length);
    return {reinterpret_cast<const char*>(chosen), length};
}

std::string tls_connection::server_name() {
    const std::lock_guard held(guard_);
    const char* const host = ::SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    return host ? host : "";
}

x509_ptr tls_connection::peer_certificate() {
    const std::lock_guard held(guard_);
    return x509_ptr(::SSL_get_peer_certificate(ssl_.get()));
}

} // namespace levada::detail
