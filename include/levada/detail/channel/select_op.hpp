#pragma once

#include <bit>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include <levada/detail/channel/kept_outcome.hpp>
#include <levada/detail/channel/select_arms.hpp>
#include <levada/detail/engine/doors.hpp>
#include <levada/detail/util/fatal.hpp>
#include <levada/detail/util/small_array.hpp>

namespace levada {

template <class... Kept>
class select_result;

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
        task_block& task = h.promise().owner();
        const frame_handle leaf = h.promise().frame();
        if constexpr (looks_itself) {
            if (owner_section::alone() && !task.is_cancelled()) [[likely]] {
                const std::uint32_t winner = look_alone(*task.home(), nullptr);
                if (winner != no_arm) return commits(task, leaf, winner);
                list();
                return park_alone(task, leaf, InOrder);
            }
        }
        return commit_or_park(task, leaf);
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

    [[nodiscard, gnu::noinline]] bool commit_or_park(task_block& task, frame_handle leaf) {
        if constexpr (looks_itself) {
            std::uint32_t winner = no_arm;
            work_list woken;
            executor& home = *task.home();
            if (home.direct() && owner_section::enter_outer()) [[likely]] {
                const bool looks = !task.is_cancelled();
                if (looks) winner = look_alone(home, &woken);
                const bool parks = looks && winner == no_arm;
                if (parks) {
                    // By hand: nothing of the operation may be touched once it is parked.
                    try {
                        list();
                    } catch (...) {
                        owner_section::leave_outer();
                        throw;
                    }
                    (void)park_alone(task, leaf, InOrder);
                }
                owner_section::leave_outer();
                if (parks) return true;
                if (winner != no_arm) {
                    post_all(woken);
                    return commits(task, leaf, winner);
                }
            }
        }
        list();
        return wait(task, leaf, InOrder ? 0 : list_.size(),
                    defaults ? static_cast<std::uint32_t>(list_.size()) : no_arm);
    }

    // The first pass in a section of the owner's: first a look, then a choice among the ready ones.
    // Gives the arm that committed, the number of arms for `otherwise`, or `no_arm`. Who is woken is added to
    // `woken`, to be posted after the section; there is none where the process has one thread.
    std::uint32_t look_alone(executor& home, work_list* woken) noexcept {
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
            if (commit(chosen, woken)) return chosen;
            ready &= ~(std::uint64_t(1) << chosen);
        }
        return defaults ? n : no_arm;
    }
    bool commit(std::uint32_t chosen, work_list* woken) noexcept {
        std::uint32_t at = 0;
        bool done = false;
        const auto offer = [&](auto& a) {
            if constexpr (!is_otherwise<std::remove_cvref_t<decltype(a)>>)
                if (at++ == chosen) done = commit_one(a, woken);
        };
        std::apply([&](auto&... a) { (offer(a), ...); }, arms_);
        return done;
    }
    template <class A>
    static bool commit_one(A& a, work_list* woken) noexcept {
        if constexpr (requires { a.commit_alone(); })
            if (const auto found = a.commit_alone(); found == std::remove_cv_t<decltype(found)>::committed)
                return true;
        work_list ready;
        if (!a.try_commit(ready)) return false;
        if (woken) woken->append(std::move(ready));
        else post_all(ready);
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

} // namespace detail
} // namespace levada
