package accesslog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sluicegate/sluice/router"
)

// ParseFields reads a JSON object whose values are formats, or objects of such, in the order
// that they are written in.
func ParseFields(text string) ([]router.LogField, error) {
	d := json.NewDecoder(strings.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errNoObject
	}
	fields, err := parseFields(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON object")
	}
	return fields, nil
}

var errNoObject = errors.New(`it must be a JSON object whose values are formats, such as {"status": "%RESPONSE_CODE%"}`)

// maxNested bounds how deep objects may stand in each other.
const maxNested = 16

// parseFields reads the members of an object behind its first brace.
func parseFields(d *json.Decoder, depth int) ([]router.LogField, error) {
	if depth > maxNested {
		return nil, fmt.Errorf("objects stand in each other more than %d deep", maxNested)
	}
	fields := []router.LogField{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, errNoObject
		}
		f := router.LogField{Name: fmt.Sprint(name)}
		value, err := d.Token()
		switch v := value.(type) {
		case string:
			f.Text = v
		case json.Delim:
			if v != '{' {
				return nil, fmt.Errorf("%s: lists are not supported; write a format, or an object of them", f.Name)
			}
			if f.Fields, err = parseFields(d, depth+1); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("%s: write a format in quotes, or an object of them", f.Name)
		}
		if err != nil {
			return nil, errNoObject
		}
		fields = append(fields, f)
	}
	if _, err := d.Token(); err != nil {
		return nil, errNoObject
	}
	return fields, nil
}

// CheckDefault returns what is wrong with the format of the process's log, nil where nothing
// is.
func CheckDefault(text string, asJSON bool) error {
	o := Options{Text: text, JSON: asJSON}
	spec, err := o.standard()
	if err != nil {
		return err
	}
	_, _, err = compileLine(&spec)
	return err
}

// standard returns the definition of the process's log.
func (o *Options) standard() (router.AccessLog, error) {
	spec := router.AccessLog{File: o.File, Text: o.Text, JSON: o.JSON}
	if o.JSON && o.Text != "" {
		fields, err := ParseFields(o.Text)
		if err != nil {
			return spec, err
		}
		spec.Text, spec.Fields = "", fields
	}
	return spec, nil
}
