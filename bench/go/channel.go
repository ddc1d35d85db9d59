// The cases of ours (bench/cases/) in Go, under the same names and of the same sizes. Prints a line for each:
// its name, a tab, and nanoseconds per operation, or what the name says.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

var (
	threads   int
	processor bool
	begun     = time.Now()
)

// Nanoseconds on the clock that was chosen: the time that passes, or the processor time of this process.
func clock() float64 {
	if !processor {
		return float64(time.Since(begun))
	}
	const processTime = 2 // CLOCK_PROCESS_CPUTIME_ID
	var t syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, processTime, uintptr(unsafe.Pointer(&t)), 0)
	return float64(t.Nano())
}

// Nanoseconds per operation since `start`.
func per(start float64, n int) float64 {
	return (clock() - start) / float64(n)
}

func atLeast1(n int) int {
	if n < 1 {
		return 1
	}
	return n
}

var sink uint64

// Work that no compiler shortens: each step, about a nanosecond, needs the one before.
func work(x uint64, steps int) uint64 {
	for i := 0; i < steps; i++ {
		x = x*5/4 + 1
	}
	return x
}

type benchCase struct {
	name string
	size int // operations at scale 1
	run  func(int) float64
}

func main() {
	scale := flag.Float64("scale", 1, "multiplies the work of every case")
	only := flag.String("only", "", "only cases whose name contains this")
	name := flag.String("case", "", "only the case of this name")
	which := flag.String("clock", "wall", "wall or cpu")
	flag.IntVar(&threads, "threads", 1, "GOMAXPROCS")
	flag.Parse()
	if flag.NArg() > 0 || !(*scale > 0) || threads < 1 || (*which != "wall" && *which != "cpu") {
		flag.Usage()
		os.Exit(2)
	}
	processor = *which == "cpu"
	runtime.GOMAXPROCS(threads)
	for _, theme := range [][]benchCase{flowCases, selectCases, taskCases, patternCases, runtimeCases} {
		for _, c := range theme {
			if (*name == "" && strings.Contains(c.name, *only)) || c.name == *name {
				runtime.GC()
				n := int(float64(c.size) * *scale)
				if n < 10 {
					n = 10
				}
				fmt.Printf("%s\t%.2f\n", c.name, c.run(n))
			}
		}
	}
}
