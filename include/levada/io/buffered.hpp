#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <levada/base/errc.hpp>
#include <levada/base/result.hpp>
#include <levada/io/io_buffer.hpp>
#include <levada/task/task.hpp>

namespace levada {

/// Reads lines and pieces of known size from a stream: one with `receive()`, as `tcp_stream` has, or anything
/// with `read(std::span<char>)`. `buffered in(stream)` refers to the stream, which has to outlive it;
/// `buffered in(std::move(stream))` owns it. For one reader at a time; writes go to `stream()`.
///
/// From a stream that receives, bytes are looked at where they came, and nothing is held while it is waited
/// for more than what it has kept. Of any other, `first_size` bytes of buffer are made when the first read
/// begins; a stream that fills them gets more, up to 64 KiB.
///
/// What was read and not yet taken is kept: a read that fails, or is cancelled, loses nothing, and the next
/// one goes on where it stood. A limit bounds what is kept, so that a peer cannot make it grow.
template <class Stream>
class buffered {
public:
    template <class S>
        requires(!std::same_as<std::remove_cvref_t<S>, buffered>)
    explicit buffered(S&& stream, std::size_t first_size = 4096)
        : stream_(std::forward<S>(stream)), first_size_(first_size == 0 ? 1 : first_size) {}

    /// Reads up to and with the next `c`, at most `max` bytes.
    /// *Suspends* until it is there. *Outcomes*: the bytes, with the `c`; `std::errc::message_size` when
    /// there is none among the first `max`, which stay; `errc::closed` at the end of the stream, where bytes
    /// without a `c` stay too; the stream's code. *Cancel*: keeps what has come.
    [[nodiscard]] task<result<std::string>> read_until(char c, std::size_t max) {
        std::size_t seen = 0;
        for (;;) {
            const std::string_view have = peek();
            const std::size_t at = have.find(c, seen);
            if (at != std::string_view::npos && at < max) {
                std::string out(have.substr(0, at + 1));
                consume(at + 1);
                co_return out;
            }
            if (at != std::string_view::npos || have.size() >= max)
                co_return fail(std::make_error_code(std::errc::message_size));
            seen = have.size();
            auto more = co_await fill();
            if (!more) co_return fail(more.error());
        }
    }
    /// Reads exactly `n` bytes. *Outcomes*: them; `errc::closed` if the stream ends before, and what there is
    /// stays; the stream's code. *Cancel*: keeps what has come.
    [[nodiscard]] task<result<std::string>> read_exactly(std::size_t n) {
        while (peek().size() < n) {
            auto more = co_await fill(n - peek().size());
            if (!more) co_return fail(more.error());
        }
        std::string out(peek().substr(0, n));
        consume(n);
        co_return out;
    }
    /// Reads a line of at most `max` bytes, and gives it without its end ("\n" or "\r\n"). The last line
    /// may have none: `while (auto line = co_await in.read_line(1000))` sees all of them. *Outcomes* and
    /// *Cancel*: as of `read_until`.
    [[nodiscard]] task<result<std::string>> read_line(std::size_t max) {
        auto line = co_await read_until('\n', max);
        if (!line && line.error() == errc::closed && !peek().empty()) {
            line = std::string(peek());
            consume(line->size());
        }
        if (!line) co_return line;
        if (line->ends_with('\n')) line->pop_back();
        if (line->ends_with('\r')) line->pop_back();
        co_return line;
    }
    /// Reads what there is, at least one byte; 0 at the end of the stream. As the stream's own `read`.
    [[nodiscard]] task<result<std::size_t>> read(std::span<char> to) {
        if (!to.empty() && peek().empty()) {
            auto more = co_await fill();
            if (!more && more.error() == errc::closed) co_return std::size_t(0);
            if (!more) co_return fail(more.error());
        }
        const std::size_t n = std::min(to.size(), peek().size());
        if (n != 0) std::memcpy(to.data(), peek().data(), n);
        consume(n);
        co_return n;
    }

    // For parsers that look at what has come, and say later how much of it was theirs:

    /// What has been read and not taken.
    [[nodiscard]] std::string_view peek() const noexcept {
        if (!lent_.empty()) return lent_.text().substr(begin_);
        return {bytes_.get() + begin_, end_ - begin_};
    }
    /// Takes the first `n` bytes of it.
    void consume(std::size_t n) noexcept {
        begin_ += n;
        if (begin_ != end_) return;
        begin_ = end_ = 0;
        lent_.reset();
    }
    /// For a receive of one's own, as an arm of `select` perhaps: what it gave. With room for `want` bytes.
    void put(io_buffer piece, std::size_t want = 1) {
        if (piece.empty()) return;
        if (peek().empty()) {
            lent_ = std::move(piece);
            end_ = lent_.size();
            return;
        }
        make_room(std::max(want, piece.size()));
        std::memcpy(bytes_.get() + end_, piece.text().data(), piece.size());
        end_ += piece.size();
    }
    /// For a read of one's own from a stream that does not receive: room for `want` bytes at least, to be
    /// read into; then `commit` says how many came. `peek()` is another after either.
    [[nodiscard]] std::span<char> prepare(std::size_t want = 1) {
        make_room(want);
        return {bytes_.get() + end_, size_ - end_};
    }
    void commit(std::size_t n) noexcept {
        end_ += n;
        // Who fills the buffer gets a larger one next time; who sends little holds little.
        if (end_ == size_) first_size_ = std::max(first_size_, std::min(2 * size_, most_at_once));
    }
    /// Reads more, at least one byte, with room for `want` of them. `peek()` is another afterwards.
    /// *Outcomes*: how many; `errc::closed` at the end of the stream; its code. *Cancel*: keeps what has
    /// come.
    [[nodiscard]] task<result<std::size_t>> fill(std::size_t want = 1) {
        if constexpr (receives) {
            own();
            auto piece = co_await get().receive();
            if (!piece) co_return fail(piece.error());
            const std::size_t n = piece->size();
            put(std::move(*piece), want);
            co_return n;
        } else {
            auto n = co_await get().read(prepare(want));
            if (!n) co_return fail(n.error());
            if (*n == 0) co_return fail(make_error_code(errc::closed));
            commit(*n);
            co_return *n;
        }
    }
    /// Gives back the memory that what is kept does not need: for connections that may idle now.
    void shrink() {
        own();
        if (begin_ != end_) return;
        bytes_.reset();
        size_ = 0;
    }
    [[nodiscard]] std::remove_reference_t<Stream>& stream() noexcept { return get(); }

private:
    static constexpr bool receives = requires(std::remove_reference_t<Stream>& s) { s.receive(); };

    [[nodiscard]] std::remove_reference_t<Stream>& get() noexcept { return stream_; }
    /// What is left of memory that was lent is copied, and the memory given back.
    void own() {
        if (!lent_.empty()) make_room(0);
    }
    void make_room(std::size_t want) {
        const std::size_t have = end_ - begin_;
        if (!lent_.empty()) {
            if (size_ < have + want) {
                const std::size_t size = std::max(first_size_, have + want);
                bytes_.reset(new char[size]);
                size_ = size;
            }
            std::memcpy(bytes_.get(), lent_.text().data() + begin_, have);
            lent_.reset();
            begin_ = 0;
            end_ = have;
            return;
        }
        if (size_ - end_ >= want) return;
        if (size_ - have >= want && have <= size_ / 2) {
            if (have != 0) std::memmove(bytes_.get(), bytes_.get() + begin_, have);
        } else {
            const std::size_t size = std::max({first_size_, 2 * size_, have + want});
            std::unique_ptr<char[]> bytes(new char[size]);
            if (have != 0) std::memcpy(bytes.get(), bytes_.get() + begin_, have);
            bytes_ = std::move(bytes);
            size_ = size;
        }
        begin_ = 0;
        end_ = have;
    }

    static constexpr std::size_t most_at_once = 64 * 1024; // unless more is asked for

    // What is kept is [begin_, end_) of `lent_`, or of `bytes_` where nothing is lent.
    Stream stream_;
    io_buffer lent_;
    std::size_t first_size_;
    std::unique_ptr<char[]> bytes_;
    std::size_t size_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

template <class S>
buffered(S&&) -> buffered<S>;
template <class S>
buffered(S&&, std::size_t) -> buffered<S>;

} // namespace levada
