#pragma once

// What is on its way to one peer, bounded by bytes and by time.
//
// A queue that is bounded by a count drops peers that are behind only for a moment: the task that fills it
// may take many steps before the one that empties it takes its first. So here a push always succeeds, and
//
//   - the task that has pushed waits for room() before it pushes again: a fast sender is slowed down;
//   - a peer is given up only if its box holds more than its bound, and the peer takes no byte for
//   `patience`;
//   - a payload is held once, however many boxes it lies in.

#include <sys/ioctl.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include <levada/levada.hpp>

namespace server {

using payload = std::shared_ptr<const std::string>;

/// The bytes that the system holds for the peer, which has not acknowledged them.
inline int unacknowledged(const levada::tcp_stream& peer) noexcept {
    int bytes = 0;
    return ::ioctl(peer.native_handle(), TIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

/// Writes all of `text`, for as long as the peer takes some of it now and then. False if the peer has gone;
/// or if it has taken nothing for `patience` and `give_up()` agrees.
template <class Callable>
levada::task<bool> write_steadily(levada::tcp_stream& peer, std::string_view text,
                                  std::chrono::milliseconds patience, Callable give_up) {
    constexpr int looks = 4; // in the time of `patience`
    int idle_looks = 0, before = -1;
    while (!text.empty()) {
        auto written = co_await levada::with_timeout(patience / looks, peer.write(text));
        if (written) {
            text.remove_prefix(*written);
            idle_looks = 0;
        } else if (written.error() != levada::errc::timed_out) {
            co_return false;
        } else {
            // A write waits until a good part of the system's buffer is free: the peer may read all the same.
            const int now = unacknowledged(peer);
            idle_looks = std::exchange(before, now) == now ? idle_looks + 1 : 0;
            if (idle_looks >= looks && give_up()) co_return false;
        }
    }
    co_return true;
}

/// Shared by the session of the peer and by all who send to it, on any thread.
class outbox {
public:
    outbox(std::size_t most_bytes, std::chrono::milliseconds patience)
        : most_bytes_(most_bytes), patience_(patience) {}
    outbox(const outbox&) = delete;
    outbox& operator=(const outbox&) = delete;

    /// Adds to what is sent, and never waits. False once the box is finished or closed.
    bool push(payload text) { return add(std::move(text), std::numeric_limits<std::size_t>::max()); }
    /// Adds it only if the box stays within its bound; then its peer is never given up.
    bool try_push(payload text) { return add(std::move(text), most_bytes_); }
    /// Whether it holds more than its bound.
    [[nodiscard]] bool full() const noexcept {
        const std::lock_guard guard(lock_);
        return bytes_ > most_bytes_;
    }
    /// Waits until it holds no more than its bound, or is closed.
    [[nodiscard]] auto room() noexcept { return room_.wait(); }
    /// Nothing more is added; what is there is still sent.
    void finish() noexcept {
        const std::lock_guard guard(lock_);
        finished_ = true;
        some_.set();
    }
    /// Drops what is there, and lets all go who wait for room.
    void close() noexcept {
        std::deque<payload> dropped; // outside of the lock
        const std::lock_guard guard(lock_);
        dropped.swap(queue_);
        finished_ = true;
        bytes_ = 0;
        some_.set();
        room_.set();
    }

    enum class end { finished, too_slow, gone };
    /// Sends what is pushed, until the box is finished or the peer cannot be served. For one task; the box is
    /// closed when it ends, however it ends.
    levada::task<end> send_to(levada::tcp_stream& peer) {
        const levada::defer closes([this]() noexcept { close(); });
        for (;;) {
            co_await some_.wait();
            batch next;
            if (!take(next)) co_return end::finished;
            bool slow = false;
            const auto give_up = [this, &slow] { return slow = may_give_up(); };
            bool sent = co_await write_steadily(peer, next.small, patience_, give_up);
            if (sent && next.large) sent = co_await write_steadily(peer, *next.large, patience_, give_up);
            if (!sent) co_return slow ? end::too_slow : end::gone;
            taken(next.cost);
        }
    }

private:
    static constexpr std::size_t most_copied = 64 << 10;

    /// What is written together: small payloads, then a large one perhaps.
    struct batch {
        std::string small;
        payload large;
        std::size_t cost = 0;
    };
    // What lies in a queue takes memory besides its bytes.
    static std::size_t cost_of(const std::string& text) noexcept { return text.size() + 64; }

    bool add(payload text, std::size_t most) {
        const std::size_t cost = cost_of(*text);
        const std::lock_guard guard(lock_);
        if (finished_ || bytes_ > most || cost > most - bytes_) return false;
        queue_.push_back(std::move(text));
        bytes_ += cost;
        if (bytes_ > most_bytes_) room_.reset();
        some_.set();
        return true;
    }
    // False if there will be nothing more.
    bool take(batch& next) {
        const std::lock_guard guard(lock_);
        while (!queue_.empty() && !next.large && next.small.size() < most_copied) {
            payload first = std::move(queue_.front());
            queue_.pop_front();
            next.cost += cost_of(*first);
            if (first->size() < most_copied) next.small += *first;
            else next.large = std::move(first);
        }
        if (queue_.empty() && !finished_) some_.reset();
        return next.cost != 0 || !finished_;
    }
    // A peer that leaves, too, has to take what is left.
    [[nodiscard]] bool may_give_up() const noexcept {
        const std::lock_guard guard(lock_);
        return bytes_ > most_bytes_ || finished_;
    }
    void taken(std::size_t cost) noexcept {
        const std::lock_guard guard(lock_);
        bytes_ -= std::min(cost, bytes_); // close() may have forgotten them
        if (bytes_ <= most_bytes_) room_.set();
    }

    const std::size_t most_bytes_;
    const std::chrono::milliseconds patience_;
    mutable std::mutex lock_;   // guards all below; room_ is set exactly while bytes_ are within the bound
    std::deque<payload> queue_; // some_ is set if it is not empty, or the box is finished
    std::size_t bytes_ = 0;     // in the queue, and in what is being written
    bool finished_ = false;
    levada::event some_;
    levada::event room_{true};
};

} // namespace server
