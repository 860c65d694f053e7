package measure

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine is where something was measured.
type Machine struct {
	// Processor is the model's name, Cores how many there are.
	Processor string `json:"processor"`
	Cores     int    `json:"cores"`
	// Virtual tells that a hypervisor is below, whose other guests may be felt.
	Virtual bool `json:"virtual,omitempty"`
	// Memory is in bytes.
	Memory int64  `json:"memory"`
	System string `json:"system"` // and its release: "Linux 6.12.1"
	Arch   string `json:"arch"`
	Go     string `json:"go"`
}

// This describes the machine as far as it says.
func This() Machine {
	m := Machine{Processor: "unknown processor", Cores: runtime.NumCPU(), Arch: runtime.GOARCH, Go: runtime.Version(), System: runtime.GOOS}
	info, _ := os.ReadFile("/proc/cpuinfo")
	cores := 0
	for line := range strings.Lines(string(info)) {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "processor":
			cores++
		case "model name":
			m.Processor = strings.Join(strings.Fields(value), " ")
		case "flags":
			m.Virtual = strings.Contains(value+" ", " hypervisor ") || strings.HasSuffix(strings.TrimSpace(value), " hypervisor")
		}
	}
	// This process may be bound to some of them.
	m.Cores = max(m.Cores, cores)
	m.Memory, _ = kilobytes("/proc/meminfo", "MemTotal:")
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.System = unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
	}
	return m
}

// String describes it in a line.
func (m Machine) String() string {
	cores, virtual := "cores", ""
	if m.Cores == 1 {
		cores = "core"
	}
	if m.Virtual {
		virtual = " (virtual)"
	}
	return fmt.Sprintf("%s, %d %s%s, %.1f GB, %s, %s", m.Processor, m.Cores, cores, virtual, float64(m.Memory)/(1<<30), m.System, m.Go)
}
