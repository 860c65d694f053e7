package istio

import "testing"

func TestWorkloadOfPod(t *testing.T) {
	t.Parallel()
	for pod, want := range map[string]string{
		"reviews-v1-6d4cf56db6-x7k2p":          "reviews-v1",
		"istio-ingressgateway-7bb5c7d9c-4kzqw": "istio-ingressgateway",
		"web-5d9c7b8f6d-00012":                 "web-5d9c7b8f6d",
		"web-6d4cf56db6-24567":                 "web",
		"fluentd-x7k2p":                        "fluentd",
		"mysql-0":                              "mysql",
		"mysql-12":                             "mysql",
		"web":                                  "web",
		"my-nginx":                             "my-nginx",
		"web-v1":                               "web-v1",
		"web-abcdefgh-x7k2p":                   "web-abcdefgh",
		"":                                     "",
		"-x7k2p":                               "-x7k2p",
		"web-":                                 "web-",
	} {
		if got := workloadOfPod(pod); got != want {
			t.Errorf("%s: %s, want %s", pod, got, want)
		}
	}
}
