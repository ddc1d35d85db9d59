#pragma once

// The memory between OpenSSL and a socket: what has arrived, and what has been made for the peer. OpenSSL
// uses it as a BIO, while it runs; so all of it is used under the lock of the connection.
//
// Invariants:
// 1. Bytes are sent in the order in which they were made: those of `sending_` from `sent_` on, then `made_`.
// 2. `unsent()` stays where it stands until it is taken away, whatever is made meanwhile.
// 3. `arrived_` is empty, and its memory the loop's again, once OpenSSL wants more.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <levada/io/io_buffer.hpp>

#include "openssl.hpp"

namespace levada::detail {

class tls_wire {
public:
    tls_wire() = default;
    tls_wire(const tls_wire&) = delete;
    tls_wire& operator=(const tls_wire&) = delete;

    /// Has OpenSSL read and write here from now on.
    void attach(SSL* ssl);

    /// Gives OpenSSL more to read, after it has used up what there was.
    void arrives(io_buffer bytes) noexcept;
    [[nodiscard]] std::uint64_t arrivals() const noexcept { return arrivals_; }

    /// What is next for the socket, and takes the first of it away.
    [[nodiscard]] std::span<const std::byte> unsent() noexcept;
    void sent(std::size_t n) noexcept;
    /// Bytes since the beginning.
    [[nodiscard]] std::uint64_t made_in_all() const noexcept { return made_in_all_; }
    [[nodiscard]] std::uint64_t sent_in_all() const noexcept { return sent_in_all_; }
    /// Makes room for so many bytes more, encrypted.
    void reserve(std::size_t n);
    /// Gives back what a connection that is silent need not hold.
    void release() noexcept;

private:
    static const BIO_METHOD* method();
    static int read(BIO* bio, char* to, int most) noexcept;
    static int write(BIO* bio, const char* from, int length) noexcept;
    static long task_block(BIO* bio, int what, long, void*) noexcept;

    io_buffer arrived_;
    std::size_t used_ = 0; // of arrived_
    std::uint64_t arrivals_ = 0;
    std::vector<std::byte> made_;
    std::vector<std::byte> sending_;
    std::size_t sent_ = 0; // of sending_
    std::uint64_t made_in_all_ = 0;
    std::uint64_t sent_in_all_ = 0;
};

} // namespace levada::detail
