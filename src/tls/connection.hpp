#pragma once

// A TLS connection: OpenSSL's object, which reads from memory and writes to memory, and the socket that tasks
// carry the bytes from and to.
//
// Invariants:
// 1. The SSL object and all that is marked "guarded" is used under `guard_`, which is never held across an
//    await.
// 2. `writing_` is held by whoever writes or ends the stream, from its first call of OpenSSL to its last
// byte.
//    Readers never wait for it.
// 3. Bytes go to the socket in the order in which OpenSSL made them: those of `sending_` that are not sent,
//    then those of `made_`. While `carried_` is true, the holder of `writing_` alone takes bytes away;
//    otherwise whoever holds `guard_` may, if it need not wait for that.
// 4. What the socket has taken is noted before the next operation, so a task that unwinds loses nothing.
// 5. `fetching_` is held to receive. `arrivals_` counts what has come: a task that has waited for `fetching_`
//    receives only if nothing has come since OpenSSL wanted more, so `arrived_` is used up when it is
//    replaced.
// 6. A reader waits for bytes of the peer. Only if what it had OpenSSL write itself is not sent (an alert, a
// new
//    key) does it wait for room as well, or for the one who carries to leave it behind.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <levada/core/task.hpp>
#include <levada/io/tcp.hpp>
#include <levada/sync/event.hpp>
#include <levada/sync/mutex.hpp>
#include <levada/tls/context.hpp>

#include "openssl.hpp"

namespace levada::detail {

class tls_connection {
public:
    tls_connection(tls_context context, tcp_stream socket);
    tls_connection(const tls_connection&) = delete;
    tls_connection& operator=(const tls_connection&) = delete;

    /// Before it agrees. False: the host is no host.
    [[nodiscard]] bool begin_as_client(std::string host);
    [[nodiscard]] bool begin_as_server();
    [[nodiscard]] task<result<void>> agree();

    // As of `tls_stream`.
    [[nodiscard]] task<result<std::size_t>> read(std::span<std::byte> to);
    [[nodiscard]] task<result<std::size_t>> write_all(std::span<const std::byte> from);
    [[nodiscard]] task<result<void>> shutdown_write();
    [[nodiscard]] tcp_stream& socket() noexcept { return socket_; }
    [[nodiscard]] std::string version();
    [[nodiscard]] std::string alpn();
    [[nodiscard]] std::string server_name();
    [[nodiscard]] x509_ptr peer_certificate();

private:
    enum class outcome { done, needs_bytes, ended, failed };
    /// What became of a call of OpenSSL's.
    struct step {
        outcome what = outcome::done;
        std::size_t count = 0;
        std::error_code why;        // of a failure
        std::uint64_t arrivals = 0; // what OpenSSL had seen
    };
    class part_written;
    class carrier;

    // With the guard held.
    template <class F>
    step call(const F& f) noexcept;
    [[nodiscard]] std::error_code why_failed(int error) noexcept;
    void fail_reads_and_writes(std::error_code why) noexcept;
    [[nodiscard]] bool owes_answers() noexcept;
    [[nodiscard]] std::span<const std::byte> unsent() noexcept;
    void send_without_waiting() noexcept;

    [[nodiscard]] step agree_now();
    [[nodiscard]] step read_now(std::span<std::byte> to);
    [[nodiscard]] step write_now(std::span<const std::byte> from);
    [[nodiscard]] step end_now();
    [[nodiscard]] bool chose_what_was_offered();

    /// Gets bytes for OpenSSL, unless some have come since that many arrivals.
    [[nodiscard]] task<result<void>> fetch(std::uint64_t arrivals);
    [[nodiscard]] task<std::optional<result<io_buffer>>> receive_or_answer(bool carried);
    [[nodiscard]] task<result<void>> carry();
    [[nodiscard]] std::span<const std::byte> next_to_carry(std::size_t sent) noexcept;

    // OpenSSL's side of the memory, called with the guard held.
    static const BIO_METHOD* memory();
    static int give(BIO* bio, char* to, int most) noexcept;
    static int take(BIO* bio, const char* from, int length) noexcept;
    static long control(BIO* bio, int what, long, void*) noexcept;

    const std::shared_ptr<const tls_shared> shared_;
    tcp_stream socket_;
    std::mutex guard_;
    ssl_ptr ssl_;                    // guarded
    io_buffer arrived_;              // guarded
    std::size_t used_ = 0;           // guarded; of arrived_
    std::uint64_t arrivals_ = 0;     // guarded
    std::vector<std::byte> made_;    // guarded
    std::vector<std::byte> sending_; // guarded; the rest is where it stands while it is carried
    std::size_t sent_ = 0;           // guarded; of sending_
    std::uint64_t made_in_all_ = 0;  // guarded
    std::uint64_t sent_in_all_ = 0;  // guarded
    std::uint64_t answered_to_ = 0;  // guarded; of made_in_all_, up to where reads have made something
    std::size_t answers_ = 0;        // guarded; bytes of these, since none was unsent
    bool carried_ = false;           // guarded
    bool cut_ = false;               // guarded; a write was cut short
    bool ended_ = false;             // guarded; the peer is told, or will be
    std::error_code failed_;         // guarded; OpenSSL's last word: it is not called any more
    std::error_code send_failed_;    // guarded; the socket's

    mutex writing_;
    mutex fetching_;
    event left_; // bytes were left behind by the one who carried
};

} // namespace levada::detail
