// What levada.cpp beside it measures, in Go: latency_go CASE BUSY STEP_US MS
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

func monotonic() int64 {
	var ts syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 1, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

func compute(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
}

func computeUntil(ctx context.Context, step time.Duration) {
	mine := make(chan int, 1)
	for ctx.Err() == nil {
		compute(step)
		mine <- 1
		<-mine
	}
}

var late []float64

func add(d time.Duration) { late = append(late, float64(d.Nanoseconds())/1000) }

func at(q float64) float64 {
	i := int(q * float64(len(late)))
	if i >= len(late) {
		i = len(late) - 1
	}
	return late[i]
}

func sendTimes() {
	socket, _ := net.FileConn(os.NewFile(3, "socket"))
	for {
		time.Sleep(time.Millisecond)
		b := make([]byte, 8)
		binary.LittleEndian.PutUint64(b, uint64(monotonic()))
		if _, err := socket.Write(b); err != nil {
			return
		}
	}
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "send-times" {
		sendTimes()
		return
	}
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: latency_go heartbeat|echo|cancel|limit BUSY STEP_US MS")
		os.Exit(2)
	}
	busy, _ := strconv.Atoi(os.Args[2])
	us, _ := strconv.Atoi(os.Args[3])
	ms, _ := strconv.Atoi(os.Args[4])
	step := time.Duration(us) * time.Microsecond
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var socket net.Conn
	if os.Args[1] == "echo" {
		ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_DGRAM, 0)
		if err != nil {
			os.Exit(1)
		}
		other := os.NewFile(uintptr(ends[1]), "other")
		child := exec.Command(os.Args[0], "send-times")
		child.ExtraFiles = []*os.File{other}
		child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if child.Start() != nil {
			os.Exit(1)
		}
		other.Close()
		socket, _ = net.FileConn(os.NewFile(uintptr(ends[0]), "socket"))
		defer child.Process.Kill()
	}
	for i := 0; i < busy; i++ {
		go computeUntil(ctx, step)
	}
	end := time.Now().Add(time.Duration(ms) * time.Millisecond)
	for time.Now().Before(end) {
		switch os.Args[1] {
		case "heartbeat":
			due := time.Now().Add(time.Millisecond)
			time.Sleep(time.Millisecond)
			add(time.Since(due))
		case "cancel":
			time.Sleep(time.Millisecond)
			inner, stop := context.WithCancel(ctx)
			done := make(chan struct{})
			go func() {
				<-inner.Done()
				close(done)
			}()
			time.Sleep(100 * time.Microsecond)
			began := time.Now()
			stop()
			<-done
			add(time.Since(began))
		case "limit":
			time.Sleep(time.Millisecond)
			due := time.Now().Add(time.Millisecond)
			inner, stop := context.WithDeadline(ctx, due)
			computeUntil(inner, step)
			stop()
			add(time.Since(due))
		case "echo":
			b := make([]byte, 8)
			if _, err := socket.Read(b); err != nil {
				os.Exit(1)
			}
			add(time.Duration(monotonic() - int64(binary.LittleEndian.Uint64(b))))
		default:
			os.Exit(2)
		}
	}
	sort.Float64s(late)
	if len(late) == 0 {
		fmt.Println(0)
		return
	}
	fmt.Printf("%d %.1f %.1f %.1f %.1f\n", len(late), at(0.5), at(0.99), at(0.999), late[len(late)-1])
}
