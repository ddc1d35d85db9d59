#pragma once

#include <cstdint>
#include <type_traits>

#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>

namespace levada::testing {

/// Counts the assertions that fail.
class failure_counter final : public Catch::EventListenerBase {
public:
    using Catch::EventListenerBase::EventListenerBase;
    void assertionEnded(const Catch::AssertionStats& s) override {
        if (!s.assertionResult.isOk()) ++failures;
    }
    static inline std::uint64_t failures = 0;
};

} // namespace levada::testing

namespace levada::detail {

// Some versions of Catch2 want to know where, too.
template <class R = Catch::ListenerRegistrar<testing::failure_counter>>
R register_failure_counter() {
    if constexpr (std::is_constructible_v<R, Catch::StringRef, Catch::SourceLineInfo>)
        return R("levada::testing::failure_counter", CATCH_INTERNAL_LINEINFO);
    else return R("levada::testing::failure_counter");
}
inline const Catch::ListenerRegistrar<testing::failure_counter> failure_counter_registered =
    register_failure_counter();

} // namespace levada::detail
