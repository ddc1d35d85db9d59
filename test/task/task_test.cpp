#include <support.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace levada;
using test_support::mourner;

namespace {

task<int> answer() { co_return 42; }
task<> nothing() { co_return; }
task<int&> refer(int& x) { co_return x; }
task<const std::string&> refer_const(const std::string& s) { co_return s; }
task<std::unique_ptr<int>> move_only() { co_return std::make_unique<int>(7); }
task<int> throws() {
    throw std::runtime_error("thrown by a task");
    co_return 0;
}

struct alignas(64) wide {
    explicit wide(int n) noexcept : value(n) {}
    int value;
};
task<wide> over_aligned() { co_return wide(5); }

class no_default {
public:
    explicit no_default(int n) noexcept : n_(n) {}
    int get() const noexcept { return n_; }

private:
    int n_;
};
task<no_default> without_default() { co_return no_default(3); }

task<> note(std::vector<int>& order, int n) {
    order.push_back(n);
    co_return;
}

} // namespace

static_assert(!std::is_copy_constructible_v<task<int>> && std::is_nothrow_move_constructible_v<task<int>>);

TEST_TASK("a task gives its value to whoever awaits it") {
    const int n = co_await answer();
    REQUIRE(n == 42);
    co_await nothing();
    auto p = co_await move_only();
    REQUIRE(*p == 7);
    auto d = co_await without_default();
    REQUIRE(d.get() == 3);
}

TEST_TASK("a task of a reference gives the object itself and not a copy") {
    int x = 1;
    int& r = co_await refer(x);
    REQUIRE(&r == &x);
    const std::string s(100, 's');
    const std::string& same = co_await refer_const(s);
    REQUIRE(&same == &s);
}

TEST_TASK("a value of extended alignment arrives aligned") {
    auto w = co_await over_aligned();
    REQUIRE(w.value == 5);
    auto h = spawn(over_aligned);
    auto r = co_await h.join();
    REQUIRE(r->value == 5);
}

TEST_TASK("a task does nothing until it is awaited") {
    std::vector<int> order;
    task<> t = note(order, 1);
    order.push_back(0);
    co_await std::move(t);
    REQUIRE(order == std::vector<int>{0, 1});
}

TEST_TASK("a task that is never awaited frees its frame and its arguments") {
    auto kept = std::make_shared<int>(1);
    {
        auto f = [](std::shared_ptr<int> p) -> task<int> { co_return *p; };
        task<int> t = f(kept);
        REQUIRE(kept.use_count() == 2);
    }
    REQUIRE(kept.use_count() == 1);
    co_return;
}

TEST_TASK("a task that is assigned over frees the frame it had") {
    auto kept = std::make_shared<int>(1);
    auto f = [](std::shared_ptr<int> p) -> task<int> { co_return *p; };
    task<int> t = f(kept);
    t = answer();
    REQUIRE(kept.use_count() == 1);
    const int n = co_await std::move(t);
    REQUIRE(n == 42);
}

TEST_TASK("an exception travels through awaits and can be caught on the way") {
    std::string caught;
    auto middle = []() -> task<int> {
        const int n = co_await throws();
        co_return n + 1;
    };
    try {
        const int n = co_await middle();
        REQUIRE(n == 0);
    } catch (const std::runtime_error& e) {
        caught = e.what();
    }
    REQUIRE(caught == "thrown by a task");
    const int after = co_await answer(); // the task is as good as before
    REQUIRE(after == 42);
}

TEST_TASK("the frame of an awaited task is gone when its value is there") {
    std::string log;
    auto f = [](std::string& l) -> task<int> {
        mourner m(l, 'f');
        co_return 1;
    };
    const int n = co_await f(log);
    log += 'a';
    REQUIRE(n == 1);
    REQUIRE(log == "fa");
}

TEST_TASK("the frame of a task that threw is gone when its exception has been caught") {
    std::string log;
    auto f = [](std::string& l) -> task<> {
        mourner m(l, 'f');
        throw 1;
        co_return;
    };
    try {
        co_await f(log);
    } catch (int) {
        log += 'c';
    }
    REQUIRE(log == "fc");
}

TEST_TASK("a value whose move throws is an exception of the await") {
    struct grumpy {
        grumpy() = default;
        grumpy(grumpy&&) { throw std::logic_error("no move"); }
        grumpy(const grumpy&) = delete;
    };
    auto f = []() -> task<grumpy> {
        grumpy g;
        co_return std::move(g);
    };
    bool caught = false;
    try {
        auto g = co_await f();
        static_cast<void>(g);
    } catch (const std::logic_error&) {
        caught = true;
    }
    REQUIRE(caught);
    auto h = spawn(f);
    caught = false;
    try {
        auto r = co_await h.join();
        static_cast<void>(r);
    } catch (const std::logic_error&) {
        caught = true;
    }
    REQUIRE(caught);
}

TEST_CASE("a task awaited twice terminates and says so") {
    auto d = test_support::run_task_to_death([]() -> task<> {
        task<int> t = answer();
        int n = co_await std::move(t);
        n += co_await std::move(t);
        static_cast<void>(n);
    });
    REQUIRE(d.aborted);
    REQUIRE(d.says("awaited twice"));
}
