#pragma once

#include <optional>
#include <stop_token>
#include <utility>

#include <levada/cancel/callback.hpp>
#include <levada/cancel/source.hpp>

namespace levada {

/// A `std::stop_token` that asks to stop when a cancel_token is cancelled, for as long as this object lives:
/// for code that knows only the standard's. A token that is cancelled already has it stopped at once.
///
/// *Threads*: any. Callbacks of the stop token run on the thread that cancels.
class stop_on_cancel {
public:
    explicit stop_on_cancel(const cancel_token& token) : callback_(token, stop{&source_}) {}
    stop_on_cancel(const stop_on_cancel&) = delete;
    stop_on_cancel& operator=(const stop_on_cancel&) = delete;

    [[nodiscard]] std::stop_token token() const noexcept { return source_.get_token(); }

private:
    struct stop {
        std::stop_source* source;
        void operator()() const noexcept { source->request_stop(); }
    };
    std::stop_source source_;
    cancel_callback<stop> callback_; // goes first, and waits where it runs
};

/// A cancel_token that is cancelled, for `errc::cancelled`, when a `std::stop_token` asks to stop, when its
/// parent is cancelled, or when this object goes.
///
/// *Threads*: any. What hangs on the token is cancelled on the thread that requests the stop.
class cancel_on_stop {
public:
    explicit cancel_on_stop(std::stop_token stop, const cancel_token& parent = {})
        : source_(parent), callback_(std::in_place, std::move(stop), cancel{&source_}) {}
    ~cancel_on_stop() { callback_.reset(); } // waits where it runs, so that it finds the source
    cancel_on_stop(const cancel_on_stop&) = delete;
    cancel_on_stop& operator=(const cancel_on_stop&) = delete;

    [[nodiscard]] cancel_token token() const noexcept { return source_.token(); }

private:
    struct cancel {
        cancel_source* source;
        void operator()() const noexcept { source->cancel(); }
    };
    cancel_source source_;
    std::optional<std::stop_callback<cancel>> callback_;
};

} // namespace levada
