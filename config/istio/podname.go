package istio

import "strings"

const (
	// podLetters are those of the five that Kubernetes ends the names of pods with, and
	// hashLetters those in which it writes the hash of a ReplicaSet's template, a number of ten
	// digits at most (k8s.io/apimachinery/pkg/util/rand, String and SafeEncodeString).
	podLetters  = "bcdfghjklmnpqrstvwxz2456789"
	hashLetters = "bcdf456789"
	// minHash is a length that nearly all hashes have.
	minHash, maxHash = 7, 10
)

// workloadOfPod guesses from a pod's name alone what made it: a Deployment's pod is called
// NAME-HASH-abcde, that of a DaemonSet, a ReplicaSet or a Job NAME-abcde, and a StatefulSet's
// NAME-0. A pod that nothing made is its own workload, unless its name looks like one of these.
func workloadOfPod(pod string) string {
	name, last, ok := cutLast(pod)
	switch {
	case !ok:
		return pod
	case len(last) == 5 && strings.Trim(last, podLetters) == "":
		deployment, hash, ok := cutLast(name)
		if ok && len(hash) >= minHash && len(hash) <= maxHash && strings.Trim(hash, hashLetters) == "" {
			return deployment
		}
		return name
	case strings.Trim(last, "0123456789") == "":
		return name
	}
	return pod
}

// cutLast cuts a name at its last hyphen. It is not ok where a part would be empty.
func cutLast(name string) (before, last string, ok bool) {
	i := strings.LastIndexByte(name, '-')
	if i <= 0 || i == len(name)-1 {
		return name, "", false
	}
	return name[:i], name[i+1:], true
}
