package admin

import (
	"log/slog"
	"net/http"
	"runtime"
	"strings"
)

// drainListeners stops accepting (Envoy's /drain_listeners).
func drainListeners(drain func(graceful bool)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Has("inboundonly") {
			writeProblem(w, http.StatusBadRequest, "inboundonly is not known here: all listeners drain together")
			return
		}
		drain(q.Has("graceful"))
		w.WriteHeader(http.StatusAccepted)
		writeText(w, "OK\n")
	}
}

// quit ends the process (Envoy's /quitquitquit).
func quit(end func()) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		writeText(w, "OK\n")
		_ = http.NewResponseController(w).Flush()
		end()
	}
}

// healthcheck makes the proxy say that it is not ready, or lets it (Envoy's /healthcheck/fail
// and /healthcheck/ok).
func healthcheck(failHealth func(bool), fail bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		failHealth(fail)
		writeText(w, "OK\n")
	}
}

// Logger is a level of the log.
type Logger struct {
	Name  string `json:"name"`
	Level string `json:"level"`
}

// showLogging shows the level of the log, in Envoy's words.
func showLogging(level *slog.LevelVar) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { writeLogging(w, r, level) }
}

func writeLogging(w http.ResponseWriter, r *http.Request, level *slog.LevelVar) {
	l := Logger{Name: "sluice", Level: strings.ToLower(level.Level().String())}
	if wantsJSON(r) {
		writeJSON(w, []Logger{l})
		return
	}
	writeText(w, "active loggers:\n  "+l.Name+": "+l.Level+"\n")
}

// setLogging changes the level: ?level=debug, or as Envoy has it ?sluice=debug.
func setLogging(level *slog.LevelVar) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		text := q.Get("level")
		if text == "" {
			text = q.Get("sluice")
		}
		if text == "" {
			writeProblem(w, http.StatusBadRequest, "say which level: POST /logging?level=debug (debug, info, warn or error)")
			return
		}
		to, ok := logLevels[strings.ToLower(text)]
		if !ok {
			writeProblem(w, http.StatusBadRequest, "level "+text+" must be debug, info, warn or error")
			return
		}
		level.Set(to)
		writeLogging(w, r, level)
	}
}

// logLevels are the names of levels, Envoy's among them.
var logLevels = map[string]slog.Level{
	"trace": slog.LevelDebug, "debug": slog.LevelDebug, "info": slog.LevelInfo,
	"warn": slog.LevelWarn, "warning": slog.LevelWarn, "error": slog.LevelError, "critical": slog.LevelError,
}

// Memory is what the process has of it, in bytes, under Envoy's names.
type Memory struct {
	// Allocated is what is in use, Heap what the heap has from the system, Unmapped what of
	// that was given back. PageHeapFree is free in the heap.
	Allocated    uint64 `json:"allocated,string"`
	HeapSize     uint64 `json:"heap_size,string"`
	Unmapped     uint64 `json:"pageheap_unmapped,string"`
	PageHeapFree uint64 `json:"pageheap_free,string"`
	// TotalPhysicalBytes is all that the Go runtime has from the system.
	TotalPhysicalBytes uint64 `json:"total_physical_bytes,string"`
	// Goroutines are how many run or wait, Collections how often the collector ran.
	Goroutines  int    `json:"goroutines"`
	Collections uint32 `json:"collections"`
}

func readMemory() Memory {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Memory{
		Allocated: m.HeapAlloc, HeapSize: m.HeapSys, Unmapped: m.HeapReleased, PageHeapFree: m.HeapIdle - m.HeapReleased,
		TotalPhysicalBytes: m.Sys - m.HeapReleased, Goroutines: runtime.NumGoroutine(), Collections: m.NumGC,
	}
}

func showMemory(w http.ResponseWriter, _ *http.Request) { writeJSON(w, readMemory()) }
