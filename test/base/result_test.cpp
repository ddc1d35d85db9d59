#include <support.hpp>

#include <memory>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

using namespace levada;

static_assert(std::is_same_v<result<int>::value_type, int>);
static_assert(std::is_same_v<result<int>::error_type, std::error_code>);
static_assert(std::is_convertible_v<int, result<int>>);
static_assert(std::is_convertible_v<failure, result<std::unique_ptr<int>>>);
static_assert(!std::is_copy_constructible_v<result<std::unique_ptr<int>>>);
static_assert(std::is_nothrow_move_constructible_v<result<std::unique_ptr<int>>>);
static_assert(!std::is_convertible_v<std::error_code, result<int>>);

namespace {

result<int> half(int n) {
    if (n % 2 != 0) return fail(std::make_error_code(std::errc::invalid_argument));
    return n / 2;
}

struct no_default {
    explicit no_default(int n) : value(n) {}
    int value;
};

} // namespace

TEST_CASE("a result has a value or an error and never both") {
    result<int> v = 3;
    REQUIRE(v.has_value());
    REQUIRE(static_cast<bool>(v));
    REQUIRE(*v == 3);
    REQUIRE(v.value() == 3);
    REQUIRE(!v.error());
    result<int> e = fail(errc::closed);
    REQUIRE(!e.has_value());
    REQUIRE(!e);
    REQUIRE(e.error() == errc::closed);
    REQUIRE(v.value_or(9) == 3);
    REQUIRE(e.value_or(9) == 9);
    result<no_default> d = fail(errc::full);
    REQUIRE(!d);
    result<no_default> in_place(std::in_place, 4);
    REQUIRE(in_place->value == 4);
    result<std::string> empty;
    REQUIRE(empty->empty());
}

TEST_CASE("value() of a failure throws its code") {
    result<int> e = fail(std::make_error_code(std::errc::host_unreachable));
    result<void> v = fail(errc::closed);
    result<int&> r = fail(errc::full);
    std::error_code code;
    try {
        static_cast<void>(e.value());
    } catch (const std::system_error& x) {
        code = x.code();
    }
    REQUIRE(code == std::errc::host_unreachable);
    try {
        v.value();
    } catch (const std::system_error& x) {
        code = x.code();
    }
    REQUIRE(code == errc::closed);
    try {
        static_cast<void>(r.value());
    } catch (const std::system_error& x) {
        code = x.code();
    }
    REQUIRE(code == errc::full);
}

TEST_CASE("a result moves a move-only value out, and copies where that is possible") {
    result<std::unique_ptr<int>> p = std::make_unique<int>(5);
    std::unique_ptr<int> out = *std::move(p);
    REQUIRE(*out == 5);
    REQUIRE(p.has_value());
    p = std::move(out);
    REQUIRE(**p == 5);
    std::unique_ptr<int> other = std::move(p).value_or(nullptr);
    REQUIRE(*other == 5);
    p = fail(errc::closed);
    REQUIRE(!p);
    result<std::string> s = std::string(100, 'x');
    result<std::string> t = s;
    REQUIRE(*s == *t);
    t = fail(errc::closed);
    s = t;
    REQUIRE(s.error() == errc::closed);
    t = std::string("again");
    REQUIRE(*t == "again");
    auto& self = t;
    t = self;
    REQUIRE(*t == "again");
}

TEST_CASE("and_then, transform and or_else pass on what is not theirs") {
    REQUIRE(*result<int>(8).and_then(half).and_then(half) == 2);
    REQUIRE(result<int>(6).and_then(half).and_then(half).error() == std::errc::invalid_argument);
    const result<int> four = 4;
    const result<int> failed = fail(errc::closed);
    REQUIRE(*four.transform([](int n) { return std::to_string(n); }) == "4");
    REQUIRE(failed.transform([](int) { return 1; }).error() == errc::closed);
    int calls = 0;
    REQUIRE(four.transform([&](int) { ++calls; }).has_value());
    REQUIRE(!failed.transform([&](int) { ++calls; }));
    REQUIRE(calls == 1);
    REQUIRE(*failed.or_else([](std::error_code ec) -> result<int> { return ec.value(); }) ==
            static_cast<int>(errc::closed));
    REQUIRE(*four.or_else([](std::error_code) -> result<int> { return 0; }) == 4);
    result<std::unique_ptr<int>> p = std::make_unique<int>(1);
    auto q = std::move(p).transform([](std::unique_ptr<int> u) { return *u + 1; });
    REQUIRE(*q == 2);
}

TEST_CASE("a result of nothing says whether it failed") {
    result<void> ok;
    result<void> bad = fail(errc::timed_out);
    REQUIRE(ok);
    *ok;
    ok.value();
    REQUIRE(bad.error() == errc::timed_out);
    REQUIRE(*ok.and_then([]() -> result<int> { return 1; }) == 1);
    REQUIRE(bad.and_then([]() -> result<int> { return 1; }).error() == errc::timed_out);
    REQUIRE(*ok.transform([] { return 2; }) == 2);
    REQUIRE(bad.or_else([](std::error_code) -> result<void> { return {}; }).has_value());
    REQUIRE(ok == result<void>());
    REQUIRE(!(ok == bad));
}

TEST_CASE("a result of a reference refers to the object itself") {
    int x = 1;
    result<int&> r = x;
    REQUIRE(&*r == &x);
    REQUIRE(&r.value() == &x);
    *r = 2;
    REQUIRE(x == 2);
    result<int&> bad = fail(errc::closed);
    REQUIRE(!bad);
    REQUIRE(bad.error() == errc::closed);
}

TEST_CASE("results compare with each other and with values") {
    const result<int> a = 1;
    const result<int> b = 1;
    const result<int> c = fail(errc::closed);
    const bool same = a == b;
    const bool different = a == c;
    const bool value = a == 1;
    const bool none = c == 1;
    REQUIRE(same);
    REQUIRE(!different);
    REQUIRE(value);
    REQUIRE(!none);
    REQUIRE(a == b);
    REQUIRE(a == 1);
}

TEST_CASE("the use of the value of a failure terminates and says the code") {
    auto value = test_support::run_to_death([] {
        result<int> r = fail(errc::closed);
        static_cast<void>(*r);
    });
    REQUIRE(value.aborted);
    CHECK(value.says("levada: closed"));
    auto arrow = test_support::run_to_death([] {
        result<std::string> r = fail(std::make_error_code(std::errc::host_unreachable));
        static_cast<void>(r->size());
    });
    REQUIRE(arrow.aborted);
    CHECK(arrow.says("generic: "));
    auto nothing = test_support::run_to_death([] {
        result<void> r = fail(errc::full);
        *r;
    });
    REQUIRE(nothing.aborted);
    CHECK(nothing.says("levada: full"));
    auto reference = test_support::run_to_death([] {
        result<int&> r = fail(errc::empty);
        static_cast<void>(*r);
    });
    REQUIRE(reference.aborted);
    CHECK(reference.says("levada: empty"));
}

TEST_CASE("errc is a category of its own, and its conditions are the standard's where there are any") {
    const std::error_code c = errc::cancelled;
    REQUIRE(c.category() == levada_category());
    REQUIRE(std::string(c.category().name()) == "levada");
    REQUIRE(c == std::errc::operation_canceled);
    REQUIRE(std::error_code(errc::timed_out) == std::errc::timed_out);
    REQUIRE(std::error_code(errc::closed) != std::errc::timed_out);
    REQUIRE(c != std::make_error_code(std::errc::operation_canceled));
    for (auto e : {errc::closed, errc::cancelled, errc::timed_out, errc::full, errc::empty}) {
        REQUIRE(std::error_code(e).value() != 0);
        REQUIRE(!std::error_code(e).message().empty());
    }
    REQUIRE(!std::error_code(999, levada_category()).message().empty());
}
