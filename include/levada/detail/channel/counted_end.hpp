#pragma once

#include <utility>

#include <levada/channel/views.hpp>
#include <levada/detail/channel/channel_handle.hpp>
#include <levada/detail/channel/channel_state.hpp>

namespace levada::detail {

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

private:
    friend struct channel_access;
    explicit counted_end(View&& first) noexcept : View(std::move(first)) { note(); }
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

} // namespace levada::detail
