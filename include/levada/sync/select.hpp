#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <exception>
#include <iterator>
#include <optional>
#include <ranges>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <levada/base/fatal.hpp>
#include <levada/base/small_array.hpp>
#include <levada/core/wait.hpp>
#include <levada/sync/timer.hpp>

namespace levada {

/// The arm of select that is taken when no other is ready: Go's `default`. With several loops: when there was
/// one moment at which none of the arms that wait for channels, mutexes and the like was ready; tokens,
/// timers, joins and the kernel's operations are looked at before that, one after the other.
struct otherwise_t {
    using outcome = void;
};
inline constexpr otherwise_t otherwise{};

namespace detail {

template <class A>
inline constexpr bool is_otherwise = std::same_as<A, otherwise_t>;
/// An arm that stands for many: it lists them.
template <class A>
concept many_arms = requires(A& range, arm** at) {
    { range.arm_count() } -> std::convertible_to<std::size_t>;
    { range.list_arms(at) } -> std::same_as<arm**>;
};
/// False for kernel operations whose late completion nobody can keep.
template <class A>
inline constexpr bool may_lose = true;
template <class A>
    requires requires { A::may_lose; }
inline constexpr bool may_lose<A> = A::may_lose;
template <class A>
concept select_arm = is_otherwise<A> || many_arms<A> ||
                     (std::derived_from<A, arm> && std::derived_from<A, awaitable_tag> && may_lose<A>);

template <class T>
using or_monostate = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

/// An outcome, or what getting it threw.
template <class T>
class settled {
public:
    template <class F>
    explicit settled(F&& take) noexcept {
        try {
            if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
                take();
                value_.emplace();
            } else {
                value_.emplace(take());
            }
        } catch (...) {
            thrown_ = std::current_exception();
        }
    }
    T& get() {
        if (thrown_) std::rethrow_exception(thrown_);
        return *value_;
    }

private:
    std::optional<T> value_;
    std::exception_ptr thrown_;
};

/// The same for outcomes that never throw.
template <class T>
class plainly {
public:
    template <class F>
    explicit plainly(F&& take) noexcept : value_(from(take)) {}
    T& get() noexcept { return value_; }

private:
    template <class F>
    static T from(F& take) noexcept {
        if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
            take();
            return {};
        } else {
            return take();
        }
    }
    T value_;
};

/// An arm's outcome as select keeps it.
template <class A>
struct kept_outcome {
    using value = or_monostate<typename A::outcome>;
    using type = std::conditional_t<noexcept(std::declval<A&>().take()), plainly<value>, settled<value>>;
};
template <class A>
    requires is_otherwise<A>
struct kept_outcome<A> {
    using type = plainly<std::monostate>;
};
template <many_arms A>
struct kept_outcome<A> {
    using type = settled<typename A::outcome>;
};

} // namespace detail

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

    /// For the library.
    template <std::size_t I, class F>
    select_result(std::in_place_index_t<I> at, F&& take) : kept_(at, std::forward<F>(take)) {}

private:
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

namespace detail {

/// `co_await select(arms...)`
template <bool InOrder, class... Arms>
class [[nodiscard]] select_op final : public any_of, public awaitable_tag {
    static constexpr std::size_t defaults = (std::size_t(is_otherwise<Arms>) + ... + 0);
    static_assert(defaults <= 1, "a select has one otherwise at most");
    static constexpr std::size_t none = ~std::size_t(0);

public:
    using outcome = select_result<typename kept_outcome<Arms>::type...>;

    template <class... A>
    explicit select_op(std::in_place_t, A&&... arms) : arms_(std::forward<A>(arms)...) {}
    select_op(select_op&& other) : arms_(std::move(other.arms_)) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) {
        control& task = h.promise().owner();
        const frame_handle leaf = h.promise().frame();
        if constexpr (looks_itself) {
            if (single_threaded() && !task.is_cancelled()) [[likely]] {
                const std::uint32_t winner = look_alone(*task.home());
                if (winner != no_arm) return commits(task, leaf, winner);
                list();
                return park_alone(task, leaf, InOrder);
            }
        }
        list();
        return wait(task, leaf, InOrder ? 0 : list_.size(),
                    defaults ? static_cast<std::uint32_t>(list_.size()) : no_arm);
    }
    outcome await_resume() {
        const std::size_t winner = settle();
        return give<0>(winner == flat_size() ? none : winner);
    }

    // As one of many: for `with_timeout` and the like, and for another select.
    [[nodiscard]] std::size_t arm_count() const noexcept
        requires(defaults == 0)
    {
        return flat_size();
    }
    arm** list_arms(arm** at) {
        std::apply([&at](auto&... a) { ((at = add(at, a)), ...); }, arms_);
        return at;
    }
    outcome take(std::size_t winner) { return give<0>(winner); }

private:
    std::span<arm* const> arms() const noexcept override { return {list_.data(), list_.size()}; }

    static constexpr bool looks_itself = !(many_arms<Arms> || ...) && sizeof...(Arms) <= 64;

    // The first pass while the process has one thread: first a look, then a choice among the ready ones.
    // Gives the arm that committed, the number of arms for `otherwise`, or `no_arm`.
    std::uint32_t look_alone(executor& home) noexcept {
        std::uint64_t ready = 0;
        std::uint32_t n = 0;
        const auto look = [&](auto& a) {
            if constexpr (!is_otherwise<std::remove_cvref_t<decltype(a)>>) {
                bool may = true;
                if constexpr (requires { a.may_commit(); }) may = a.may_commit();
                ready |= std::uint64_t(may) << n++;
            }
        };
        std::apply([&](auto&... a) { (look(a), ...); }, arms_);
        while (ready != 0) {
            std::uint64_t rest = ready;
            if constexpr (!InOrder)
                if (const auto many = static_cast<std::uint32_t>(std::popcount(ready)); many > 1)
                    for (std::uint32_t skip = home.random(many); skip != 0; --skip) rest &= rest - 1;
            const auto chosen = static_cast<std::uint32_t>(std::countr_zero(rest));
            if (commit(chosen)) return chosen;
            ready &= ~(std::uint64_t(1) << chosen);
        }
        return defaults ? n : no_arm;
    }
    bool commit(std::uint32_t chosen) noexcept {
        std::uint32_t at = 0;
        bool done = false;
        const auto offer = [&](auto& a) {
            if constexpr (!is_otherwise<std::remove_cvref_t<decltype(a)>>)
                if (at++ == chosen) done = commit_one(a);
        };
        std::apply([&](auto&... a) { (offer(a), ...); }, arms_);
        return done;
    }
    template <class A>
    static bool commit_one(A& a) noexcept {
        if constexpr (requires { a.commit_alone(); })
            if (const auto found = a.commit_alone(); found == std::remove_cv_t<decltype(found)>::done)
                return true;
        work_list ready;
        if (!a.try_commit(ready)) return false;
        post_all(ready);
        return true;
    }
    std::size_t flat_size() const noexcept {
        return std::apply([](const auto&... a) { return (size_of(a) + ... + 0); }, arms_);
    }

    template <class A>
    static std::size_t size_of(const A& a) noexcept {
        if constexpr (is_otherwise<A>) return 0;
        else if constexpr (many_arms<A>) return a.arm_count();
        else return 1;
    }
    // The flat list of arms: `otherwise` is not in it, a range stands there with all of its own.
    void list() {
        list_.reset(flat_size());
        (void)list_arms(list_.data());
    }
    template <class A>
    static arm** add(arm** at, A& a) {
        if constexpr (is_otherwise<A>) return at;
        else if constexpr (many_arms<A>) return a.list_arms(at);
        else return *at = &a, at + 1;
    }

    template <std::size_t I>
    outcome give(std::size_t winner) {
        if constexpr (I == sizeof...(Arms)) {
            fatal("select: no arm has committed");
        } else {
            auto& a = std::get<I>(arms_);
            using A = std::remove_cvref_t<decltype(a)>;
            constexpr auto here = std::in_place_index<I>;
            if constexpr (is_otherwise<A>) {
                if (winner == none) return outcome(here, [] {});
            } else if (winner != none) {
                const std::size_t n = size_of(a);
                if (winner < n) {
                    if constexpr (many_arms<A>) return outcome(here, [&] { return a.take(winner); });
                    else return outcome(here, [&]() -> decltype(auto) { return a.take(); });
                }
                winner -= n;
            }
            return give<I + 1>(winner);
        }
    }

    std::tuple<Arms...> arms_;
    static constexpr std::size_t at_once = sizeof...(Arms) > 8 || (many_arms<Arms> || ...) ? 8
                                                                                           : sizeof...(Arms);
    small_array<arm*, at_once> list_;
};

/// Like arms of a run-time number; itself an arm of select.
template <class Range>
class [[nodiscard]] range_op final : public any_of, public awaitable_tag {
    using op = std::ranges::range_value_t<Range>;

public:
    using outcome = range_result<or_monostate<typename op::outcome>>;

    explicit range_op(Range&& r) : range_(std::forward<Range>(r)) {}
    range_op(range_op&& other) : range_(std::forward<Range>(other.range_)) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) {
        list_.reset(arm_count());
        list_arms(list_.data());
        return wait(h.promise().owner(), h.promise().frame(), list_.size(), no_arm);
    }
    outcome await_resume() { return take(settle()); }

    [[nodiscard]] std::size_t arm_count() const noexcept {
        return static_cast<std::size_t>(std::ranges::size(range_));
    }
    arm** list_arms(arm** at) {
        for (auto& a : range_) *at++ = &a;
        return at;
    }
    outcome take(std::size_t winner) {
        auto& a = *std::ranges::next(std::ranges::begin(range_), static_cast<std::ptrdiff_t>(winner));
        if constexpr (std::is_void_v<typename op::outcome>)
            return a.take(), outcome(winner, std::monostate());
        else return outcome(winner, a.take());
    }

private:
    std::span<arm* const> arms() const noexcept override { return {list_.data(), list_.size()}; }
    Range range_; // a reference, where an lvalue was given
    small_array<arm*, 8> list_;
};

template <class A>
consteval void check_arm() {
    static_assert(
        select_arm<std::remove_cvref_t<A>>,
        "this cannot be an arm of select: a kernel operation whose late completion nobody could keep, or "
        "a task. Start it with spawn and select on h.join()");
    static_assert(is_otherwise<std::remove_cvref_t<A>> || !std::is_lvalue_reference_v<A>,
                  "write the operation in the select itself, as in select(ch.recv(), after(1s))");
}

} // namespace detail

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
