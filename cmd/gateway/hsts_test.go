package main

import "testing"

// What --hsts says reaches every response: it can end no header, and browsers understand it.
func TestCheckHSTS(t *testing.T) {
	t.Parallel()
	for value, good := range map[string]bool{
		"": true, "max-age=0": true, "max-age=31536000; includeSubDomains; preload": true, `Max-Age="60";`: true,
		"max-age": false, "max-age=": false, "max-age=1y": false, "max-age=-1": false, "includeSubDomains": false, "max-age=1; max-age=2": false,
		"max-age=60\n": false, "max-age=60\r\nx-evil: 1": false, "max-age=60; a b": false, "max-age=60, max-age=1": false, "max-age=60;\x00": false,
	} {
		if err := checkHSTS(value); (err == nil) != good {
			t.Errorf("%q: %v", value, err)
		}
	}
}
