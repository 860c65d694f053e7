// Package validate says what is wrong inside one object of Istio's API, field by
// field. The rules are those of Istio's own validator, as its API's field comments
// and its verdicts on testdata/istio-validation.yaml show them; where it stays silent
// about something without effect, we warn.
//
// It must not know of other objects: that a gateway, a subset or a host exists is for
// the front end, which sees them all.
package validate
