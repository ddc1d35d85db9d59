package main

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

const spawnBatch = 100

func spawnFinish(n int) float64 {
	var wg sync.WaitGroup
	start := clock()
	for done := 0; done < n; done += spawnBatch {
		wg.Add(spawnBatch)
		for i := 0; i < spawnBatch; i++ {
			go wg.Done()
		}
		wg.Wait()
	}
	return per(start, (n+spawnBatch-1)/spawnBatch*spawnBatch)
}

func spawnJoin(n int) float64 {
	start := clock()
	for i := 0; i < n; i++ {
		end := make(chan struct{})
		go func() { close(end) }()
		<-end
	}
	return per(start, n)
}

func spawnAllJoin(n int) float64 {
	var wg sync.WaitGroup
	start := clock()
	wg.Add(n)
	for i := 0; i < n; i++ {
		go wg.Done()
	}
	wg.Wait()
	return per(start, n)
}

// What `n` goroutines that wait take, as `used` has it.
func park(n int, used func() float64) float64 {
	ch := make(chan int)
	var begun, ended sync.WaitGroup
	before := used()
	begun.Add(n)
	ended.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			begun.Done()
			<-ch
			ended.Done()
		}()
	}
	begun.Wait()
	runtime.Gosched()
	bytes := used() - before
	close(ch)
	ended.Wait()
	if bytes < 0 {
		return 0
	}
	return bytes / float64(n)
}

func parkedBytes(n int) float64 {
	return park(n, func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.StackInuse + m.HeapAlloc)
	})
}

// The memory of this process that is in RAM.
func residentBytes() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		panic(err)
	}
	return float64(pages * os.Getpagesize())
}

func parkedResident(n int) float64 {
	return park(n, residentBytes)
}

func cancelWaiting(n int) float64 {
	ctx, cancel := context.WithCancel(context.Background())
	ch := make(chan int)
	var begun, ended sync.WaitGroup
	begun.Add(n)
	ended.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			begun.Done()
			select {
			case <-ch:
			case <-ctx.Done():
			}
			ended.Done()
		}()
	}
	begun.Wait()
	runtime.Gosched()
	start := clock()
	cancel()
	ended.Wait()
	return per(start, n)
}

func sleeps(n int) float64 {
	var wg sync.WaitGroup
	start := clock()
	wg.Add(n)
	for i := 0; i < n; i++ {
		ms := time.Duration(1 + i%100)
		go func() {
			time.Sleep(ms * time.Millisecond)
			wg.Done()
		}()
	}
	wg.Wait()
	return per(start, n)
}

func timers(n int) float64 {
	start := clock()
	for i := 0; i < n; i++ {
		time.NewTimer(time.Hour).Stop()
	}
	return per(start, n)
}

var taskCases = []benchCase{
	{"a million parked tasks, bytes each", 1_000_000, parkedResident},
	{"parked task, bytes", 100_000, parkedBytes},
	{"go and finish", 200_000, spawnFinish},
	{"spawn and join", 200_000, spawnJoin},
	{"spawn a million tasks, join all", 1_000_000, spawnAllJoin},
	{"group go and finish", 200_000, spawnFinish},
	{"a million sleeps of 1 to 100 ms", 1_000_000, sleeps},
	{"timer made and dropped", 5_000_000, timers},
	{"cancel 100000 waiting tasks", 100_000, cancelWaiting},
}
