package decode

import "github.com/sluicegate/sluice/config"

const (
	// BadValue: a field has a value of the wrong type, or one that is not among its
	// choices.
	BadValue config.Reason = "BadValue"
	// UnknownField: a field is not part of the API, so it has no effect.
	UnknownField config.Reason = "UnknownField"
	// FieldTwice: a field is written in both of its spellings, or two fields are set
	// of which only one can be.
	FieldTwice config.Reason = "FieldTwice"
	// UnservedVersion: the kind exists, but not in this version of its API.
	UnservedVersion config.Reason = "UnservedVersion"
	// UnknownKind: the API group has no such kind.
	UnknownKind config.Reason = "UnknownKind"
	// NotServed: the kind exists and has no effect here.
	NotServed config.Reason = "NotServed"
)
