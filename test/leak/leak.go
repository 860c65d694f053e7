// Package leak fails a package's tests where goroutines outlive them.
//
// What is ending when the last test is over gets time for it: goleak by itself gives it less
// than half a second, which is too little on a busy machine.
package leak

import (
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines may take to end.
const patience = 20 * time.Second

// Main is for TestMain: it runs the tests, looks for goroutines that are left, and exits. m is
// a *testing.M.
func Main(m goleak.TestingM) { goleak.VerifyTestMain(patient{m}) }

// patient runs tests, and waits for what they have left behind to end.
type patient struct{ goleak.TestingM }

func (p patient) Run() int {
	code := p.TestingM.Run()
	for end := time.Now().Add(patience); code == 0 && goleak.Find() != nil && time.Now().Before(end); {
	}
	return code
}
