// expect: a dropped join_handle cancels its task: keep it, join it, or detach it|ignoring return value of
// .*levada::spawn
#include <levada/task/spawn.hpp>

#pragma GCC diagnostic error "-Wunused-result"

levada::task<> f();

void g() {
    levada::spawn(f).detach();
#ifdef LEVADA_MISUSE
    levada::spawn(f);
#endif
}
