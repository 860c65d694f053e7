package ingress

// effect is what becomes of an annotation.
type effect uint8

const (
	// served: it is read where its group is.
	served effect = iota
	// without: it has no effect, though its author expects one.
	without
	// useless: it has no effect, and needs none.
	useless
	// restricts: it restricts who may do something, and cannot be enforced.
	restricts
)

// knownAnnotation is one of ingress-nginx, with what to say of it unless it is served.
type knownAnnotation struct {
	effect  effect
	message string
}

const (
	noLimits   = "replicas do not count together: limit-rps and limit-rpm bound what each of them lets through"
	noSnippets = "there is no nginx here to configure, so that it has no effect: say it with other annotations, or in a VirtualService"
	noAuth     = "this version asks nobody else whether a request may pass"
	noBasic    = "this version checks no passwords"
	noWAF      = "this version inspects no requests (ModSecurity)"
	noBuffers  = "it has no effect, and needs none: requests and responses are passed on as they come"
	noErrors   = "it has no effect: responses of the service are passed on as they are"
	noTracing  = "it has no effect: logs and traces are set up by the gateway's flags"
	noEndTLS   = "it has no effect: write a DestinationRule for the service with trafficPolicy.tls"
	withAuth   = "it has no effect without auth-url"
)

// knownAnnotations are the annotations of ingress-nginx (docs/user-guide/nginx-configuration/annotations.md
// of its releases, and some of old ones that people still have).
var knownAnnotations = map[string]knownAnnotation{
	"affinity":                                 {},
	"affinity-mode":                            {},
	"affinity-canary-behavior":                 {without, "it has no effect: a canary's endpoints stick by themselves"},
	"allowlist-source-range":                   {},
	"app-root":                                 {},
	"auth-always-set-cookie":                   {useless, withAuth},
	"auth-cache-duration":                      {useless, withAuth},
	"auth-cache-key":                           {useless, withAuth},
	"auth-keepalive":                           {useless, withAuth},
	"auth-keepalive-requests":                  {useless, withAuth},
	"auth-keepalive-share-vars":                {useless, withAuth},
	"auth-keepalive-timeout":                   {useless, withAuth},
	"auth-method":                              {useless, withAuth},
	"auth-proxy-set-headers":                   {useless, withAuth},
	"auth-realm":                               {useless, "it has no effect without auth-type"},
	"auth-request-redirect":                    {useless, withAuth},
	"auth-response-headers":                    {useless, withAuth},
	"auth-secret":                              {restricts, noBasic},
	"auth-secret-type":                         {useless, "it has no effect without auth-type"},
	"auth-signin":                              {useless, withAuth},
	"auth-signin-redirect-param":               {useless, withAuth},
	"auth-snippet":                             {restricts, noAuth},
	"auth-tls-error-page":                      {without, "it has no effect: clients without a certificate get no TLS connection"},
	"auth-tls-match-cn":                        {restricts, "the common name of client certificates is not compared with anything"},
	"auth-tls-pass-certificate-to-upstream":    {without, "it has no effect: client certificates are not passed on to the service"},
	"auth-tls-secret":                          {},
	"auth-tls-verify-client":                   {},
	"auth-tls-verify-depth":                    {},
	"auth-type":                                {restricts, noBasic},
	"auth-url":                                 {restricts, noAuth},
	"backend-protocol":                         {},
	"canary":                                   {},
	"canary-by-cookie":                         {},
	"canary-by-header":                         {},
	"canary-by-header-pattern":                 {},
	"canary-by-header-value":                   {},
	"canary-weight":                            {},
	"canary-weight-total":                      {},
	"client-body-buffer-size":                  {useless, noBuffers},
	"configuration-snippet":                    {},
	"connection-proxy-header":                  {useless, "it has no effect: the connection header is the proxy's own"},
	"cors-allow-credentials":                   {},
	"cors-allow-headers":                       {},
	"cors-allow-methods":                       {},
	"cors-allow-origin":                        {},
	"cors-expose-headers":                      {},
	"cors-max-age":                             {},
	"custom-headers":                           {without, "it has no effect, as this version reads no ConfigMaps: write the headers as http[].headers.response.set of a VirtualService"},
	"custom-http-errors":                       {without, noErrors},
	"default-backend":                          {without, "it has no effect: a service without endpoints answers 503"},
	"denylist-source-range":                    {},
	"disable-proxy-intercept-errors":           {useless, noErrors},
	"enable-access-log":                        {useless, noTracing},
	"enable-cors":                              {},
	"enable-global-auth":                       {useless, "it has no effect: there is no authentication for all Ingresses here"},
	"enable-modsecurity":                       {restricts, noWAF},
	"enable-opentelemetry":                     {useless, noTracing},
	"enable-opentracing":                       {useless, noTracing},
	"enable-owasp-core-rules":                  {restricts, noWAF},
	"enable-owasp-modsecurity-crs":             {restricts, noWAF},
	"enable-rewrite-log":                       {useless, noTracing},
	"fastcgi-index":                            {useless, "it has no effect without FastCGI"},
	"fastcgi-params-configmap":                 {useless, "it has no effect without FastCGI"},
	"force-ssl-redirect":                       {},
	"from-to-www-redirect":                     {},
	"global-rate-limit":                        {without, noLimits},
	"global-rate-limit-ignored-cidrs":          {useless, noLimits},
	"global-rate-limit-key":                    {useless, noLimits},
	"global-rate-limit-window":                 {useless, noLimits},
	"http2-push-preload":                       {useless, "it has no effect: browsers take no pushes any more"},
	"limit-allowlist":                          {},
	"limit-burst-multiplier":                   {},
	"limit-connections":                        {},
	"limit-rate":                               {without, "it has no effect: bandwidth is not limited"},
	"limit-rate-after":                         {useless, "it has no effect: bandwidth is not limited"},
	"limit-rpm":                                {},
	"limit-rps":                                {},
	"limit-whitelist":                          {},
	"load-balance":                             {},
	"mirror-host":                              {useless, "it has no effect without mirror-target"},
	"mirror-request-body":                      {useless, "it has no effect without mirror-target"},
	"mirror-target":                            {without, "it has no effect: write a ServiceEntry for the target and a VirtualService with http[].mirrors"},
	"modsecurity-snippet":                      {restricts, noWAF},
	"modsecurity-transaction-id":               {useless, noWAF},
	"opentelemetry-operation-name":             {useless, noTracing},
	"opentelemetry-trust-incoming-span":        {useless, noTracing},
	"opentracing-trust-incoming-span":          {useless, noTracing},
	"permanent-redirect":                       {},
	"permanent-redirect-code":                  {},
	"preserve-trailing-slash":                  {useless, "it has no effect, and needs none: a slash at the end stays as it is"},
	"proxy-body-size":                          {},
	"proxy-buffer-size":                        {useless, noBuffers},
	"proxy-buffering":                          {useless, noBuffers},
	"proxy-buffers-number":                     {useless, noBuffers},
	"proxy-busy-buffers-size":                  {useless, noBuffers},
	"proxy-connect-timeout":                    {},
	"proxy-cookie-domain":                      {without, "it has no effect: cookies are passed on as the service sets them"},
	"proxy-cookie-path":                        {without, "it has no effect: cookies are passed on as the service sets them"},
	"proxy-http-version":                       {useless, "it has no effect: what a service speaks is said by its ports, or by backend-protocol"},
	"proxy-max-temp-file-size":                 {useless, noBuffers},
	"proxy-next-upstream":                      {},
	"proxy-next-upstream-timeout":              {},
	"proxy-next-upstream-tries":                {},
	"proxy-read-timeout":                       {},
	"proxy-redirect-from":                      {without, "it has no effect: the location header is passed on as the service sets it"},
	"proxy-redirect-to":                        {without, "it has no effect: the location header is passed on as the service sets it"},
	"proxy-request-buffering":                  {useless, noBuffers},
	"proxy-send-timeout":                       {},
	"proxy-ssl-ciphers":                        {without, noEndTLS},
	"proxy-ssl-name":                           {},
	"proxy-ssl-protocols":                      {without, noEndTLS},
	"proxy-ssl-secret":                         {restricts, "no certificate of a Secret in the Ingress' namespace is shown to services, nor is theirs checked against it: put the Secret into the gateway's namespace and write a DestinationRule with trafficPolicy.tls"},
	"proxy-ssl-server-name":                    {},
	"proxy-ssl-verify":                         {restricts, "the certificate of the service is not checked: write a DestinationRule with trafficPolicy.tls in place of the proxy-ssl annotations"},
	"proxy-ssl-verify-depth":                   {useless, "it has no effect without proxy-ssl-verify"},
	"relative-redirects":                       {without, "it has no effect: redirects name the host"},
	"rewrite-target":                           {},
	"satisfy":                                  {},
	"secure-backends":                          {without, "it has no effect, as in ingress-nginx since 0.22: write backend-protocol: HTTPS"},
	"server-alias":                             {},
	"server-snippet":                           {},
	"service-upstream":                         {useless, "it has no effect: requests go to the endpoints, which are told of changes at once"},
	"session-cookie-change-on-failure":         {useless, "it has no effect: requests of a client whose endpoint is gone go to another"},
	"session-cookie-conditional-samesite-none": {useless, "it has no effect: browsers that did not know SameSite=None are gone"},
	"session-cookie-domain":                    {},
	"session-cookie-expires":                   {},
	"session-cookie-hash":                      {useless, "it has no effect"},
	"session-cookie-max-age":                   {},
	"session-cookie-name":                      {},
	"session-cookie-path":                      {},
	"session-cookie-samesite":                  {},
	"session-cookie-secure":                    {},
	"ssl-ciphers":                              {without, "it has no effect: write a Gateway with servers[].tls.cipherSuites"},
	"ssl-passthrough":                          {},
	"ssl-prefer-server-ciphers":                {useless, "it has no effect: the server's order counts"},
	"ssl-redirect":                             {},
	"stream-snippet":                           {without, noSnippets},
	"temporal-redirect":                        {},
	"temporal-redirect-code":                   {},
	"upstream-hash-by":                         {},
	"upstream-hash-by-subset":                  {without, "it has no effect: one endpoint of all is taken by the hash"},
	"upstream-hash-by-subset-size":             {useless, "it has no effect: one endpoint of all is taken by the hash"},
	"upstream-vhost":                           {},
	"use-regex":                                {},
	"whitelist-source-range":                   {},
	"x-forwarded-prefix":                       {},
}
