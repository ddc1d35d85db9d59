// A test that fails under every seed, and one that throws: check_failing.py looks at what is told of them.

#include <levada/levada.hpp>
#include <levada/testing/catch2.hpp>

#include <stdexcept>

using namespace levada;

LEVADA_TEST_CASE("fails under every seed") {
    channel<int> ch(1);
    co_await or_throw(ch.send(1));
    CHECK(ch.size() == 2);
}

LEVADA_TEST_CASE("throws under every seed") {
    co_await this_task::yield();
    throw std::runtime_error("thrown on purpose");
}
