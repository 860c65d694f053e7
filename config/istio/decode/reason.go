package decode

import "github.com/sluicegate/sluice/config"

const (
	// BadValue: a field's value has the wrong type or is not one of its choices.
	BadValue config.Reason = "BadValue"
)
