package ingress

import "github.com/sluicegate/sluice/config"

const (
	// NoClass: an Ingress names no class, and none is the default; it is not served.
	NoClass config.Reason = "NoIngressClass"
	// OtherClass: an Ingress is of a class that is not served here.
	OtherClass config.Reason = "OtherIngressClass"
	// BadHost: a host is neither a name nor a wildcard for one label.
	BadHost config.Reason = "BadHost"
	// BadPath: a path cannot be matched.
	BadPath config.Reason = "BadPath"
	// BadBackend: a path has no backend that can be served.
	BadBackend config.Reason = "BadBackend"
	// PathTaken: an older Ingress has the path, or another path of the same one.
	PathTaken config.Reason = "PathTaken"
	// HostTaken: another Ingress has a host that an alias or a redirect would take.
	HostTaken config.Reason = "HostTaken"
	// CertificateTaken: an older Ingress has the certificate for a host.
	CertificateTaken config.Reason = "CertificateTaken"
	// NoCertificate: TLS is asked for without a Secret.
	NoCertificate config.Reason = "NoCertificate"
	// CanaryWithoutPrimary: no other Ingress has the canary's path.
	CanaryWithoutPrimary config.Reason = "CanaryWithoutPrimary"
	// UnknownAnnotation: nobody knows an annotation of ingress-nginx.
	UnknownAnnotation config.Reason = "UnknownAnnotation"
	// BadAnnotation: an annotation's value means nothing.
	BadAnnotation config.Reason = "BadAnnotation"
	// AnnotationNotServed: an annotation is known, and has no effect here.
	AnnotationNotServed config.Reason = "AnnotationNotServed"
	// NotEnforced: an annotation that restricts access cannot be enforced, so that the
	// paths answer 503.
	NotEnforced config.Reason = "NotEnforced"
)
