package measure

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// spend uses so much processor time on one thread.
func spend(d time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var begin, now unix.Timespec
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &begin)
	for time.Duration(now.Nano()-begin.Nano()) < d {
		unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now)
	}
}

// TestProcessorCountsDeadThreads spends time on a thread that is gone when it is looked at.
func TestProcessorCountsDeadThreads(t *testing.T) {
	pids := []int{os.Getpid()}
	before, err := Processor(pids)
	if err != nil {
		t.Fatal(err)
	}
	const spent = 100 * time.Millisecond
	gone := make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		spend(spent)
		close(gone)
	}()
	<-gone
	after, err := Processor(pids)
	if err != nil {
		t.Fatal(err)
	}
	if got := after.Total - before.Total; got < spent || got > 20*spent {
		t.Errorf("%s spent, %s measured", spent, got)
	}
	if got := after.User + after.System - before.User - before.System; got < spent-2*tick {
		t.Errorf("%s spent, %s measured in ticks", spent, got)
	}
}

// shell runs a script that says when it has done something, and waits then.
func shell(t *testing.T, script string) (pid int) {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

const count = `i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done`

// TestProcessorCountsChildren has a child do the work: one that lives, and one that is gone.
func TestProcessorCountsChildren(t *testing.T) {
	for name, script := range map[string]string{
		"living": `(` + count + `; echo; read x) & read x`,
		"gone":   `(` + count + `); echo; read x`,
	} {
		t.Run(name, func(t *testing.T) {
			pid := shell(t, "exec 3<&0; "+strings.ReplaceAll(script, "read x", "read x <&3"))
			u, err := Processor([]int{pid})
			if err != nil {
				t.Fatal(err)
			}
			if u.Total < 2*tick {
				t.Errorf("%s in all for counting to 100,000", u.Total)
			}
			all, err := family([]int{pid, pid})
			if err != nil {
				t.Fatal(err)
			}
			if want := map[string]int{"living": 2, "gone": 1}[name]; len(all) != want || all[0] != pid {
				t.Errorf("the processes are %v, want %d of them", all, want)
			}
		})
	}
}

// TestGone asks for a process that there is not.
func TestGone(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	pids := []int{cmd.Process.Pid}
	if _, err := Processor(pids); err == nil || !strings.Contains(err.Error(), fmt.Sprint(pids[0])) {
		t.Errorf("processor time: the error is %v", err)
	}
	if _, err := Resident(pids); err == nil || !strings.Contains(err.Error(), fmt.Sprint(pids[0])) {
		t.Errorf("memory: the error is %v", err)
	}
}

// TestResident grows by 32 MB.
func TestResident(t *testing.T) {
	pids := []int{os.Getpid()}
	before, err := Resident(pids)
	if err != nil {
		t.Fatal(err)
	}
	const size = 32 << 20
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(b)
	for i := 0; i < size; i += 4096 {
		b[i] = 1
	}
	after, err := Resident(pids)
	if err != nil {
		t.Fatal(err)
	}
	if got := after - before; got < size*9/10 || got > size*2 {
		t.Errorf("%d more bytes in use, %d measured", size, got)
	}
}

// TestResidentOfOthers: other processes with the same program take nothing from what one holds, and
// what those of a family share counts once.
func TestResidentOfOthers(t *testing.T) {
	const idle = "SLUICE_MEASURE_IDLE"
	if os.Getenv(idle) != "" {
		fmt.Println()
		io.Copy(io.Discard, os.Stdin)
		return
	}
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, self, 0o700); err != nil {
		t.Fatal(err)
	}
	start := func() int {
		return shell(t, "exec env "+idle+"=1 "+program+" -test.run '^TestResidentOfOthers$'")
	}
	resident := func(pids ...int) int64 {
		n, err := Resident(pids)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := start()
	alone := resident(first)
	second := start()
	together, other := resident(first), resident(second)
	if together < alone*95/100 {
		t.Errorf("%d bytes alone, %d beside another process", alone, together)
	}
	if both := resident(first, second); both > (together+other)*95/100 || both < together {
		t.Errorf("%d and %d bytes come to %d, though they share the program", together, other, both)
	}
}

// TestSystemCalls traces cat, which has two for each line.
func TestSystemCalls(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("strace is missing; test/install-tools.sh installs it")
		}
		t.Skip("strace is missing; test/install-tools.sh installs it")
	}
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	out := bufio.NewReader(pipe)
	line := func() error {
		if _, err := io.WriteString(in, "line\n"); err != nil {
			return err
		}
		_, err := out.ReadString('\n')
		return err
	}
	if err := line(); err != nil {
		t.Fatal(err)
	}
	const lines = 200
	each, byName, err := SystemCalls(t.Context(), []int{cmd.Process.Pid}, func() (int, error) {
		for range lines {
			if err := line(); err != nil {
				return 0, err
			}
		}
		return lines, nil
	})
	if err != nil && strings.Contains(err.Error(), "not permitted") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if each < 1.9 || each > 2.2 || byName["read"] < .9 || byName["write"] < .9 {
		t.Errorf("%.2f system calls for a line: %v; want 2", each, byName)
	}
}

// TestSystemCallsWithoutStrace says what is missing.
func TestSystemCallsWithoutStrace(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, _, err := SystemCalls(t.Context(), []int{os.Getpid()}, nil)
	if err == nil || !strings.Contains(err.Error(), "strace is not installed") {
		t.Errorf("the error is %v", err)
	}
}

// TestParseSummary reads what strace prints, with and without errors.
func TestParseSummary(t *testing.T) {
	calls, err := parseSummary(`% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.001234           3       400        12 read
 40.00    0.000823           4       200           write
------ ----------- ----------- --------- --------- ----------------
100.00    0.002057           3       600        12 total
`)
	if err != nil || len(calls) != 2 || calls["read"] != 400 || calls["write"] != 200 {
		t.Errorf("the calls are %v, %v", calls, err)
	}
	if _, err := parseSummary("strace: attach: Operation not permitted"); err == nil {
		t.Error("no table, and no error")
	}
}

// TestMachine says something of each kind.
func TestMachine(t *testing.T) {
	m := This()
	if m.Cores < 1 || m.Memory < 1<<20 || !strings.HasPrefix(m.System, "Linux ") || m.Go != runtime.Version() {
		t.Errorf("the machine is %+v", m)
	}
	text := m.String()
	for _, part := range []string{m.Processor, m.System, m.Go, " GB"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not say %q", text, part)
		}
	}
	data, err := json.Marshal(m)
	var again Machine
	if err != nil || json.Unmarshal(data, &again) != nil || again != m {
		t.Errorf("as JSON it is %s, %v", data, err)
	}
	if !slices.Contains(strings.Split(string(data), `"`), "processor") {
		t.Errorf("JSON's names are not in lower case: %s", data)
	}
}
