// expect: cancel_source
#include <levada/cancel/source.hpp>

void f() {
    levada::cancel_source src;
    levada::cancel_source moved(std::move(src));
#ifdef LEVADA_MISUSE
    levada::cancel_source copy(moved);
#endif
}
