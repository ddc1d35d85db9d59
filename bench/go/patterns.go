package main

import "sync"

func workerPool(do func(int) int) func(int) float64 {
	return func(n int) float64 {
		jobs, results := make(chan int, 64), make(chan int, 64)
		var workers sync.WaitGroup
		workers.Add(4)
		start := clock()
		for i := 0; i < 4; i++ {
			go func() {
				for job := range jobs {
					results <- do(job)
				}
				workers.Done()
			}()
		}
		go func() {
			for i := 0; i < n; i++ {
				jobs <- i
			}
			close(jobs)
			workers.Wait()
			close(results)
		}()
		for range results {
		}
		return per(start, n)
	}
}

func twice(job int) int        { return job * 2 }
func aMicrosecond(job int) int { return int(work(uint64(job), 1000)) }

func sieve(n int) float64 {
	filter := func(in <-chan int, out chan<- int, prime int) {
		for v := range in {
			if v%prime != 0 {
				out <- v
			}
		}
		close(out)
	}
	numbers := make(chan int)
	stop := make(chan struct{})
	start := clock()
	go func() {
		for i := 2; ; i++ {
			select {
			case numbers <- i:
			case <-stop:
				close(numbers)
				return
			}
		}
	}()
	in := numbers
	for i := 0; i < n; i++ {
		prime := <-in
		out := make(chan int)
		go filter(in, out, prime)
		in = out
	}
	ms := (clock() - start) / 1e6
	close(stop)
	for range in {
	}
	return ms
}

func node(first, leaves int, to chan<- int) {
	if leaves == 1 {
		to <- first
		return
	}
	from := make(chan int)
	for i := 0; i < 10; i++ {
		go node(first+i*leaves/10, leaves/10, from)
	}
	sum := 0
	for i := 0; i < 10; i++ {
		sum += <-from
	}
	to <- sum
}

func skynet(n int) float64 {
	leaves := 1
	for leaves*10 <= n {
		leaves *= 10
	}
	to := make(chan int)
	start := clock()
	go node(0, leaves, to)
	<-to
	return per(start, leaves)
}

var patternCases = []benchCase{
	{"worker pool of 4", 1_000_000, workerPool(twice)},
	{"worker pool of 4, 1 us of work a job", 1_000_000, workerPool(aMicrosecond)},
	{"prime sieve, 2000 primes, ms", 2_000, sieve},
	{"skynet, a million leaves", 1_000_000, skynet},
}
