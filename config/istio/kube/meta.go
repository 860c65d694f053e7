package kube

import (
	"encoding/json"
	"time"
)

// TypeMeta says what an object is.
type TypeMeta struct {
	Kind       string `json:"kind,omitempty"`
	APIVersion string `json:"apiVersion,omitempty"`
}

// ObjectMeta is what all objects have.
type ObjectMeta struct {
	Name              string            `json:"name,omitempty"`
	Namespace         string            `json:"namespace,omitempty"`
	Labels            map[string]string `json:"labels,omitempty"`
	Annotations       map[string]string `json:"annotations,omitempty"`
	CreationTimestamp Time              `json:"creationTimestamp,omitzero"`
	DeletionTimestamp *Time             `json:"deletionTimestamp,omitempty"`
	OwnerReferences   []OwnerReference  `json:"ownerReferences,omitempty"`

	GenerateName               Unread `json:"generateName,omitzero"`
	SelfLink                   Unread `json:"selfLink,omitzero"`
	UID                        Unread `json:"uid,omitzero"`
	ResourceVersion            Unread `json:"resourceVersion,omitzero"`
	Generation                 Unread `json:"generation,omitzero"`
	DeletionGracePeriodSeconds Unread `json:"deletionGracePeriodSeconds,omitzero"`
	Finalizers                 Unread `json:"finalizers,omitzero"`
	ManagedFields              Unread `json:"managedFields,omitzero"`
}

// OwnerReference names what made an object.
type OwnerReference struct {
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Controller *bool  `json:"controller,omitempty"`

	APIVersion         Unread `json:"apiVersion,omitzero"`
	UID                Unread `json:"uid,omitzero"`
	BlockOwnerDeletion Unread `json:"blockOwnerDeletion,omitzero"`
}

// Time is a moment, to the second (RFC 3339); null is none.
type Time struct{ time.Time }

// UnmarshalJSON reads a moment, or null.
func (t *Time) UnmarshalJSON(b []byte) error {
	t.Time = time.Time{}
	if string(b) == "null" {
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, text)
	t.Time = at.Local()
	return err
}

// Duration is written as Go writes it, "1m30s".
type Duration struct{ time.Duration }

// MarshalJSON writes the text.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads the text.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	v, err := time.ParseDuration(text)
	d.Duration = v
	return err
}
