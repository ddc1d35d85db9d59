#include <levada/detail/channel/value_queue.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <utility>

using levada::detail::unlimited;
using levada::detail::value_queue;

namespace {

/// Counts the objects that live, and notices use after a move.
class counted {
public:
    explicit counted(int id) : id_(id) { ++alive; }
    counted(counted&& other) noexcept : id_(std::exchange(other.id_, -1)) { ++alive; }
    counted& operator=(counted&&) = delete;
    ~counted() { --alive; }
    int id() const { return id_; }
    static inline int alive = 0;

private:
    int id_;
};

struct alignas(64) wide {
    explicit wide(int n) noexcept : value(n) {}
    int value;
};

struct big {
    explicit big(int n) noexcept : value(n) {}
    int value;
    std::byte rest[700]{};
};

template <class T>
void put(value_queue<T>& q, T&& value) {
    REQUIRE(q.make_room(1));
    q.push(std::move(value));
}

template <class T>
void push_and_pop_in_waves(std::size_t capacity) {
    value_queue<T> q(capacity);
    int in = 0, out = 0;
    const int room = capacity == unlimited ? 1500 : static_cast<int>(capacity);
    for (int wave = 1; wave <= 40; ++wave) {
        while (in - out < room && in < wave * 131) put(q, T(in++));
        CHECK(q.size() == static_cast<std::size_t>(in - out));
        for (int n = 0; n < wave * 7 && out < in; ++n) REQUIRE(q.pop().value == out++);
    }
    while (q.size() != 0) REQUIRE(q.pop().value == out++);
    CHECK(in == out);
}

} // namespace

TEST_CASE("a ring gives its values back in order however often it wraps around") {
    for (std::size_t capacity : {1u, 2u, 3u, 7u, 64u}) {
        push_and_pop_in_waves<wide>(capacity);
        push_and_pop_in_waves<big>(capacity);
    }
}

TEST_CASE("a chain of blocks gives its values back in order across block borders") {
    push_and_pop_in_waves<wide>(unlimited);
    push_and_pop_in_waves<big>(unlimited);
}

TEST_CASE("an over-aligned value stands at its alignment in ring and chain") {
    for (std::size_t capacity : {std::size_t(5), unlimited}) {
        value_queue<wide> q(capacity);
        for (int i = 0; i < 5; ++i) put(q, wide(i));
        for (int i = 0; i < 5; ++i) {
            wide w = q.pop();
            CHECK(w.value == i);
            CHECK(reinterpret_cast<std::uintptr_t>(&w) % 64 == 0);
        }
    }
}

TEST_CASE("a value queue destroys each value once, those taken and those left") {
    for (std::size_t capacity : {std::size_t(1000), unlimited}) {
        counted::alive = 0;
        {
            value_queue<counted> q(capacity);
            for (int i = 0; i < 1000; ++i) put(q, counted(i));
            CHECK(counted::alive == 1000);
            for (int i = 0; i < 300; ++i) REQUIRE(q.pop().id() == i);
            CHECK(counted::alive == 700);
        }
        CHECK(counted::alive == 0);
    }
}

TEST_CASE("a value queue keeps move-only values alive while it is drained and filled again") {
    value_queue<std::unique_ptr<int>> q(unlimited);
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 3000; ++i) put(q, std::make_unique<int>(i));
        for (int i = 0; i < 3000; ++i) REQUIRE(*q.pop() == i);
    }
    CHECK(q.size() == 0);
}

TEST_CASE("a ring whose size in bytes would overflow is refused") {
    constexpr auto most = std::numeric_limits<std::size_t>::max();
    CHECK_THROWS_AS(value_queue<int>(most - 1), std::bad_alloc);
    CHECK_THROWS_AS(value_queue<int>(most / 4), std::bad_alloc);
    CHECK_THROWS_AS(value_queue<big>(most / 8), std::bad_alloc);
    CHECK_THROWS_AS(value_queue<char>(most - 1), std::bad_alloc);
}
