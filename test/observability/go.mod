module github.com/sluicegate/sluice/test/observability

go 1.26.0

replace (
	github.com/sluicegate/sluice => ../..
	istio.io/api => istio.io/api v1.31.1
)
