package decode

import "testing"

const virtualService = `apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: reviews-1
  namespace: bookinfo
  labels:
    app: reviews
spec:
  hosts:
  - reviews-1.example.com
  gateways:
  - istio-system/gw
  http:
  - match:
    - uri:
        prefix: /api/v1
      headers:
        end-user:
          exact: jason
    route:
    - destination:
        host: reviews
        subset: v2
        port:
          number: 9080
    timeout: 5s
  - route:
    - destination:
        host: reviews
        subset: v1
`

const service = `apiVersion: v1
kind: Service
metadata:
  name: reviews
  labels: {app: reviews}
spec:
  selector: {app: reviews}
  ports:
  - name: http
    port: 9080
    targetPort: 9080
`

// BenchmarkDecode decodes one object an iteration.
func BenchmarkDecode(b *testing.B) {
	for name, text := range map[string]string{"VirtualService": virtualService, "Service": service} {
		b.Run(name, func(b *testing.B) {
			o := object(b, text)
			b.ReportAllocs()
			for b.Loop() {
				if typed, conditions := Decode(o); typed == nil || len(conditions) > 0 {
					b.Fatal(conditions)
				}
			}
		})
	}
}
