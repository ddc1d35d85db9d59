// expect: a channel's values are moved between tasks, which must not throw: box them
#include <memory>

#include <levada/channel/channel.hpp>

struct throwing {
    throwing() = default;
    throwing(throwing&&) noexcept(false) {}
};

void f() {
    levada::channel<std::unique_ptr<throwing>> boxed;
#ifdef LEVADA_MISUSE
    levada::channel<throwing> plain;
#endif
}
