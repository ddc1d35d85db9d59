// expect: deleted function .*task_group|call to deleted constructor of '.*task_group'
#include <levada/task/task_group.hpp>

levada::task<> body() {
    levada::task_group g;
#ifdef LEVADA_MISUSE
    levada::task_group copy(g);
    co_await copy.wait();
#endif
    co_await g.wait();
}
