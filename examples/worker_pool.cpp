// Three workers share five jobs: the library's worker_pool, as in Go by Example's "Worker Pools".

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

task<int> twice(int job) {
    co_await sleep_for(10ms); // an expensive job: three of them run at once
    co_return 2 * job;
}

task<> pool() {
    channel<int> jobs(100);
    channel<int> results(100);
    for (int j = 1; j <= 5; ++j) co_await or_throw(jobs.send(j));
    jobs.close(); // there are no more

    co_await worker_pool(3, jobs, results, twice); // closes results when all jobs are done

    std::vector<int> found; // in the order in which they were done
    while (auto r = co_await results.recv()) found.push_back(*r);
    std::sort(found.begin(), found.end());
    for (int r : found) std::printf("result %d\n", r);
}

} // namespace

int main() { return levada::run(pool); }
