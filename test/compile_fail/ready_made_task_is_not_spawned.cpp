// expect: pass the function and its arguments, not a task: go\(f, x\), not go\(f\(x\)\)
#include <levada/task/spawn.hpp>

levada::task<int> f(int);

void g() {
    levada::spawn(f, 1).detach();
#ifdef LEVADA_MISUSE
    levada::spawn(f(1)).detach();
#endif
}
