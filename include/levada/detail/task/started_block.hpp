#pragma once

#include <functional>
#include <memory>
#include <new>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>

#include <levada/base/executor.hpp>
#include <levada/base/frame_pool.hpp>
#include <levada/detail/engine/task_block.hpp>
#include <levada/detail/engine/tree.hpp>
#include <levada/detail/task/handle_access.hpp>
#include <levada/detail/task/result_block.hpp>
#include <levada/detail/task/started_value.hpp>
#include <levada/detail/task/task_access.hpp>
#include <levada/detail/task/task_frame.hpp>
#include <levada/task/join_handle.hpp>
#include <levada/task/task.hpp>

namespace levada::detail {

/// A task block that holds what the task was started with. `End` says whom its end concerns.
template <class T, class End, class F, class... A>
class started_block final : public result_block<T> {
public:
    template <class G, class... B>
    started_block(executor* home, const std::source_location& where, End end, G&& f, B&&... args)
        : result_block<T>(home, where),
          end_(std::move(end)),
          call_(std::in_place, std::forward<G>(f), std::forward<B>(args)...) {}

private:
    using call_type = std::tuple<F, A...>;
    using returned = std::invoke_result_t<F, A...>;

    ~started_block() = default;

    frame_handle begin() override {
        if constexpr (is_task<returned>) {
            return erase(task_access::release(
                std::apply([](auto&... parts) { return std::invoke(std::move(parts)...); }, call_.value)));
        } else if constexpr (std::is_void_v<returned>) {
            std::apply([](auto&... parts) { std::invoke(std::move(parts)...); }, call_.value);
        } else {
            this->slot_.emplace(std::apply(
                [](auto&... parts) -> returned { return std::invoke(std::move(parts)...); }, call_.value));
        }
        return nullptr;
    }
    void collect(frame_handle root) override {
        if constexpr (is_task<returned>) {
            frame_owner<T> frame(typed<T>(root));
            if constexpr (std::is_void_v<T>) frame.take();
            else this->slot_.emplace(frame.take());
        }
    }
    void destroy_arguments() noexcept override { std::destroy_at(&call_.value); }
    void ended(after_unlock& todo) noexcept override {
        // A result that nobody will take goes before anybody hears of the end: they may destroy what it
        // refers to.
        if (!End::joinable || !this->has_handle()) this->slot_.reset();
        end_.ended(*this, todo);
    }
    void deallocate() noexcept override {
        this->~started_block();
        frame_pool::deallocate(this, sizeof(started_block));
    }

    union call_slot { // destroyed before the rest, with the task's end
        template <class... B>
        explicit call_slot(std::in_place_t, B&&... parts) : value(std::forward<B>(parts)...) {}
        ~call_slot() {}
        call_type value;
    };
    [[no_unique_address]] End end_;
    call_slot call_;
    friend class task_block;
};

/// The end of a task that a handle may join: `task_block::ended` does what is needed.
struct joined_end {
    static constexpr bool joinable = true;
    template <class C>
    void ended(C& task, after_unlock&) const noexcept {
        task.end_for_handle();
    }
};

template <class End, class F, class... A>
auto& make_task_block(executor& home, const std::source_location& where, End end, F&& f, A&&... args) {
    using block = started_block<started_value<F, A...>, End, std::decay_t<F>, std::decay_t<A>...>;
    static_assert(
        alignof(block) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__,
        "a callable or argument of extended alignment cannot be kept by a task: pass it by pointer");
    struct memory {
        void* p = frame_pool::allocate(sizeof(block));
        ~memory() {
            if (p) frame_pool::deallocate(p, sizeof(block));
        }
    } m;
    auto* made =
        ::new (m.p) block(&home, where, std::move(end), std::forward<F>(f), std::forward<A>(args)...);
    m.p = nullptr;
    return *made;
}

/// Starts a task that was made, with a handle to join it.
template <class C>
auto launch_with_handle(C& made, tree_node& below) {
    join_handle<typename C::value_type> handle = handle_access::hold<typename C::value_type>(made);
    made.ref();
    made.hold_handle();
    made.launch(below);
    return handle;
}

} // namespace levada::detail
