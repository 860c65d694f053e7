package browser

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Tab is one page in the browser.
type Tab struct {
	browser *Chromium
	session string

	mu sync.Mutex
	// complaints are errors and warnings of the console, exceptions nobody caught, and requests
	// that were refused; requests are the addresses that the page asked for.
	complaints, requests []string
}

// NewTab opens an empty page of a size, in a light or dark room.
func (c *Chromium) NewTab(width, height int, scheme string) (*Tab, error) {
	var target struct{ TargetID string }
	if err := c.call("", "Target.createTarget", map[string]any{"url": "about:blank", "newWindow": true}, &target); err != nil {
		return nil, err
	}
	var attached struct{ SessionID string }
	if err := c.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached); err != nil {
		return nil, err
	}
	t := &Tab{browser: c, session: attached.SessionID}
	c.mu.Lock()
	c.tabs[t.session] = t
	c.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Network", "Log", "Accessibility"} {
		if err := t.Call(domain+".enable", nil, nil); err != nil {
			return nil, err
		}
	}
	if err := t.Resize(width, height); err != nil {
		return nil, err
	}
	return t, t.Media(scheme, "no-preference")
}

// Resize sets the size of the page's window.
func (t *Tab) Resize(width, height int) error {
	return t.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
}

// Media sets what the page is told of the person's wishes.
func (t *Tab) Media(scheme, motion string) error {
	return t.Call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{
		{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion},
	}}, nil)
}

// Call asks the tab by a method of the DevTools protocol.
func (t *Tab) Call(method string, params, result any) error {
	return t.browser.call(t.session, method, params, result)
}

// Open loads an address.
func (t *Tab) Open(address string) error {
	var loaded struct{ ErrorText string }
	if err := t.Call("Page.navigate", map[string]any{"url": address}, &loaded); err != nil {
		return err
	}
	if loaded.ErrorText != "" {
		return fmt.Errorf("%s: %s", address, loaded.ErrorText)
	}
	return nil
}

// Eval runs an expression in the page, waits for it where it is a promise, and reads what comes
// of it. result may be nil.
func (t *Tab) Eval(expression string, result any) error {
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := t.Call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true}, &answer)
	switch {
	case err != nil:
		return err
	case answer.ExceptionDetails != nil:
		return fmt.Errorf("%s: %s %s", expression, answer.ExceptionDetails.Text, answer.ExceptionDetails.Exception.Description)
	case result == nil || answer.Result.Value == nil:
		return nil
	}
	return json.Unmarshal(answer.Result.Value, result)
}

// Until waits until an expression holds.
func (t *Tab) Until(expression string) error {
	var err error
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		var holds bool
		if err = t.Eval("Boolean("+expression+")", &holds); err == nil && holds {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("it did not come to %s", expression), err)
}

// Press presses a key by its name ("Tab", "Enter", "ArrowRight", "/"), with Shift or not.
func (t *Tab) Press(key string, shift bool) error {
	codes := map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, " ": 32, "/": 191}
	texts := map[string]string{"Enter": "\r", " ": " ", "/": "/"}
	params := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
	if s := texts[key]; s != "" {
		params["text"] = s
	}
	if shift {
		params["modifiers"] = 8
	}
	if err := t.Call("Input.dispatchKeyEvent", params, nil); err != nil {
		return err
	}
	params["type"] = "keyUp"
	delete(params, "text")
	return t.Call("Input.dispatchKeyEvent", params, nil)
}

// Type writes into what has the focus.
func (t *Tab) Type(text string) error {
	return t.Call("Input.insertText", map[string]any{"text": text}, nil)
}

// Screenshot returns what is seen as PNG, with whole also what lies below.
func (t *Tab) Screenshot(whole bool) ([]byte, error) {
	var shot struct{ Data string }
	if err := t.Call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": whole, "optimizeForSpeed": false}, &shot); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(shot.Data)
}

// Complaints returns what the browser found wrong with the page so far, Requests what the page
// asked for.
func (t *Tab) Complaints() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.complaints)
}

// Requests returns the addresses that the page asked for so far.
func (t *Tab) Requests() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.requests)
}

// take notes an event.
func (t *Tab) take(m message) {
	var e struct {
		Type             string
		Args             []struct{ Value, Description any }
		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
		Entry   struct{ Level, Text, URL string }
		Request struct{ URL string }
	}
	if json.Unmarshal(m.Params, &e) != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch m.Method {
	case "Runtime.consoleAPICalled":
		if e.Type == "error" || e.Type == "warning" {
			t.complaints = append(t.complaints, fmt.Sprint(e.Type, ": ", e.Args))
		}
	case "Runtime.exceptionThrown":
		t.complaints = append(t.complaints, e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
	case "Log.entryAdded":
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			t.complaints = append(t.complaints, e.Entry.Text+" "+e.Entry.URL)
		}
	case "Network.requestWillBeSent":
		if !strings.HasPrefix(e.Request.URL, "data:") {
			t.requests = append(t.requests, e.Request.URL)
		}
	}
}
