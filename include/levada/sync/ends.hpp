#pragma once

#include <cstddef>
#include <utility>

#include <levada/sync/channel.hpp>

namespace levada {

template <class T>
class send_end;
template <class T>
class recv_end;

namespace detail {

/// A counted end: a view that keeps the channel's count of its side, and stands in its list of ends.
template <class View, bool Sender>
class counted_end : public View, public counts_itself {
public:
    counted_end(const counted_end& other) noexcept : View(other) {
        if (this->state_) this->state_->add_end(Sender);
        note();
    }
    counted_end(counted_end&& other) noexcept : View(nil) { take(other); }
    counted_end& operator=(counted_end other) noexcept { // what was held here is let go by `other`
        counted_end mine(std::move(*this));
        take(other);
        other.take(mine);
        return *this;
    }
    ~counted_end() { drop(); }

    /// Gives this end up now; it is nil afterwards.
    void reset() noexcept {
        drop();
        View::operator=(View(nil));
    }

    /// For `make_ends`: the first end of its side, which the channel counts already.
    explicit counted_end(View&& first) noexcept : View(std::move(first)) { note(); }

private:
    // From one that has an end, or none, to this, which has none.
    void take(counted_end& other) noexcept {
        other.forget();
        View::operator=(std::move(static_cast<View&>(other)));
        note();
    }
    void note() noexcept {
        if (auto* s = this->state_) s->note_end(hook_, Sender);
    }
    void forget() noexcept {
        if (auto* s = this->state_) s->forget_end(hook_, Sender);
    }
    void drop() noexcept {
        forget();
        if (auto* s = this->state_) s->drop_end(Sender);
    }
    end_hook hook_;
};

} // namespace detail

/// A sending end that counts: when the last of a channel's is gone, the channel closes. Converts to
/// `send_channel`, which does not count.
template <class T>
class send_end : public detail::counted_end<send_channel<T>, true> {
public:
    using detail::counted_end<send_channel<T>, true>::counted_end;
};

/// A receiving end that counts: when the last is gone, sends end with `errc::closed`.
template <class T>
class recv_end : public detail::counted_end<recv_channel<T>, false> {
public:
    using detail::counted_end<recv_channel<T>, false>::counted_end;
};

/// A channel of its two counted ends: `auto [tx, rx] = make_ends<int>(100);`. A capacity of 0 is a
/// rendezvous.
template <class T>
[[nodiscard]] std::pair<send_end<T>, recv_end<T>> make_ends(
    std::size_t capacity = 0, detail::await_site made_at = detail::await_site(LEVADA_INTERNAL_HERE)) {
    channel<T> ch(capacity, made_at);
    ch.count_ends();
    return {send_end<T>(send_channel<T>(ch)), recv_end<T>(recv_channel<T>(std::move(ch)))};
}
/// The same without a limit.
template <class T>
[[nodiscard]] std::pair<send_end<T>, recv_end<T>> make_unbounded_ends(
    detail::await_site made_at = detail::await_site(LEVADA_INTERNAL_HERE)) {
    channel<T> ch = channel<T>::unbounded(made_at);
    ch.count_ends();
    return {send_end<T>(send_channel<T>(ch)), recv_end<T>(recv_channel<T>(std::move(ch)))};
}

} // namespace levada
