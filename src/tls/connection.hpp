#pragma once

// A TLS connection: OpenSSL's object, which reads from memory and writes to memory, and the socket that tasks
// carry the bytes from and to.
//
// Invariants:
// 1. The SSL object and all that is marked "guarded" is used under `guard_`, which is never held across an
//    await.
// 2. `writing_` is held by whoever writes or ends the stream, from its first call of OpenSSL to its last
//    byte. Readers never wait for it.
// 3. While `carried_` is true, the holder of `writing_` alone takes bytes from the wire; otherwise whoever
//    holds `guard_` may, if it need not wait for that.
// 4. What the socket has taken is noted before the next operation, so a task that unwinds loses nothing.
// 5. `fetching_` is held to receive. The wire counts what has come: a task that has waited for `fetching_`
//    receives only if nothing has come since OpenSSL wanted more, and has used up all that came before.
// 6. A reader waits for bytes of the peer. Only if what it had OpenSSL write itself (an alert, a new key) is
//    not sent does it wait for room as well, or for the one who carries to leave it behind.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <system_error>

#include <levada/io/tcp.hpp>
#include <levada/sync/event.hpp>
#include <levada/sync/mutex.hpp>
#include <levada/task/task.hpp>
#include <levada/tls/context.hpp>

#include "openssl.hpp"
#include "wire.hpp"

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
    [[nodiscard]] bool owes_answers() noexcept;
    void send_without_waiting() noexcept;
    [[nodiscard]] bool is_broken() const noexcept;
    [[nodiscard]] static step broken() noexcept;

    [[nodiscard]] step agree_now();
    [[nodiscard]] step read_now(std::span<std::byte> to);
    [[nodiscard]] step write_now(std::span<const std::byte> from);
    [[nodiscard]] step end_now();
    [[nodiscard]] bool chose_what_was_offered();

    /// Gets bytes for OpenSSL, unless some have come since that many arrivals.
    [[nodiscard]] task<result<void>> fetch(std::uint64_t arrivals);
    [[nodiscard]] task<result<void>> answer_and_fetch(std::uint64_t arrivals);
    [[nodiscard]] task<std::optional<result<io_buffer>>> receive_or_answer(bool carried);
    [[nodiscard]] task<result<void>> carry();
    [[nodiscard]] std::span<const std::byte> next_to_carry(std::size_t sent) noexcept;

    const std::shared_ptr<const tls_shared> shared_;
    tcp_stream socket_;
    std::mutex guard_;
    tls_wire wire_;                 // guarded
    ssl_ptr ssl_;                   // guarded
    std::uint64_t answered_to_ = 0; // guarded; of all that was made, up to where reads have made something
    std::size_t answers_ = 0;       // guarded; bytes of these, since none was unsent
    bool carried_ = false;          // guarded
    bool cut_ = false;              // guarded; a write was cut short
    bool ended_ = false;            // guarded; the peer is told, or will be
    std::error_code failed_;        // guarded; OpenSSL's last word: it is not called any more
    std::error_code send_failed_;   // guarded; the socket's

    mutex writing_;
    mutex fetching_;
    event left_; // bytes were left behind by the one who carried
};

} // namespace levada::detail
