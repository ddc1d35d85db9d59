#pragma once

#include <concepts>
#include <cstddef>
#include <ranges>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <levada/detail/channel/range_op.hpp>
#include <levada/detail/channel/select_arms.hpp>
#include <levada/detail/channel/select_op.hpp>
#include <levada/detail/engine/waiter.hpp>
#include <levada/detail/util/fatal.hpp>
#include <levada/sync/timer.hpp>

namespace levada {

/// The arm of select that is taken when no other is ready: Go's `default`. With several loops: when there was
/// one moment at which none of the arms that wait for channels, mutexes and the like was ready; tokens,
/// timers, joins and the kernel's operations are looked at before that, one after the other.
struct otherwise_t {
    using outcome = void;
};
inline constexpr otherwise_t otherwise{};

/// What a select gives: which arm committed, and that arm's outcome.
template <class... Kept>
class [[nodiscard]] select_result {
public:
    /// The position of the arm that committed.
    [[nodiscard]] std::size_t index() const noexcept { return kept_.index(); }
    /// Its outcome; `std::monostate` where the arm has none. Terminates for another arm. What a joined task
    /// threw is thrown here.
    template <std::size_t I>
    [[nodiscard]] auto& get() & {
        static_assert(I < sizeof...(Kept), "the select has fewer arms");
        if (index() != I)
            detail::fatal("get<I> of a select_result: another arm committed; ask index() first");
        return std::get<I>(kept_).get();
    }
    template <std::size_t I>
    [[nodiscard]] const auto& get() const& {
        return const_cast<select_result*>(this)->template get<I>();
    }
    template <std::size_t I>
    [[nodiscard]] auto&& get() && {
        return std::move(get<I>());
    }
    /// The outcome if arm `I` committed, else null.
    template <std::size_t I>
    [[nodiscard]] auto* get_if() {
        return index() == I ? &get<I>() : nullptr;
    }

private:
    template <bool InOrder, class... Arms>
    friend class detail::select_op;
    template <std::size_t I, class F>
    select_result(std::in_place_index_t<I> at, F&& take) : kept_(at, std::forward<F>(take)) {}
    std::variant<Kept...> kept_;
};

template <std::size_t I, class... K>
[[nodiscard]] auto& get(select_result<K...>& s) {
    return s.template get<I>();
}
template <std::size_t I, class... K>
[[nodiscard]] const auto& get(const select_result<K...>& s) {
    return s.template get<I>();
}
template <std::size_t I, class... K>
[[nodiscard]] auto&& get(select_result<K...>&& s) {
    return std::move(s).template get<I>();
}
template <std::size_t I, class... K>
[[nodiscard]] auto* get_if(select_result<K...>* s) {
    return s->template get_if<I>();
}
template <std::size_t I, class... K>
[[nodiscard]] auto* get_if(select_result<K...>& s) {
    return s.template get_if<I>();
}

/// What a `select_range` gives: the position of the arm that committed, and its outcome.
template <class T>
class [[nodiscard]] range_result {
public:
    range_result(std::size_t at, T&& value) : position(at), outcome(std::move(value)) {}
    std::size_t position;
    T outcome;
};

/// Waits until one of the arms can commit, and commits exactly that one.
///
/// Arms: `ch.recv()`, `ch.send(v)`, `ch.reserve()`, `after(d)` (counts from parking), `at(t)`,
/// `token.done()`, `h.join()`, `wg.wait()`, `group.wait()`, `m.lock()`, `s.acquire(k)`, `event.wait()`,
/// `latch.wait()`, `select_range(...)`, `otherwise`, and the operations of streams and listeners that say so.
/// Of the ready ones any is taken with equal chances. *Suspends* while none is ready, unless there is an
/// `otherwise`. *Outcomes*: a `select_result`. An arm that is not taken consumes nothing and loses nothing.
/// The same channel may stand in several arms; a select never pairs with itself; a closed channel is ready.
/// *Cancel*: withdrawn without effect.
template <class... Arms>
[[nodiscard]] auto select(Arms&&... arms) {
    (detail::check_arm<Arms>(), ...);
    return detail::select_op<false, std::remove_cvref_t<Arms>...>(std::in_place, std::forward<Arms>(arms)...);
}

/// The same, but the first ready arm is taken.
template <class... Arms>
[[nodiscard]] auto select_in_order(Arms&&... arms) {
    (detail::check_arm<Arms>(), ...);
    return detail::select_op<true, std::remove_cvref_t<Arms>...>(std::in_place, std::forward<Arms>(arms)...);
}

/// A select over a sized range of operations of one type: a vector of them, which is used where it stands and
/// must outlive the await, or a temporary one, which is kept. Gives position and outcome; itself an arm.
/// Every operation is good for one select: fill the range anew for the next.
template <std::ranges::sized_range R>
    requires std::derived_from<std::ranges::range_value_t<R>, detail::arm>
[[nodiscard]] auto select_range(R&& arms) {
    using op = std::ranges::range_value_t<R>;
    if constexpr (std::is_lvalue_reference_v<R> ||
                  std::is_lvalue_reference_v<std::ranges::range_reference_t<R>>) {
        return detail::range_op<R>(std::forward<R>(arms)); // used where it stands, or kept as a whole
    } else {
        std::vector<op> kept; // a view that makes them
        kept.reserve(static_cast<std::size_t>(std::ranges::size(arms)));
        for (auto&& a : arms) kept.push_back(std::forward<decltype(a)>(a));
        return detail::range_op<std::vector<op>>(std::move(kept));
    }
}

} // namespace levada
