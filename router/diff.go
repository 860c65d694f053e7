package router

// hunk is a stretch in which two lists differ: old[oldFrom:oldTo] became
// new[newFrom:newTo].
type hunk struct{ oldFrom, oldTo, newFrom, newTo int }

// diffWindow is how far apart two lists are searched for where they agree again.
const diffWindow = 64

// diff compares two lists of pointers. Few changes give few small hunks, whatever
// the length of the lists; from where they agree no more within the window, one hunk
// takes all the rest.
func diff[T any](old, new []*T) []hunk {
	var hunks []hunk
	for i, j := 0, 0; i < len(old) || j < len(new); {
		if i < len(old) && j < len(new) && old[i] == new[j] {
			i, j = i+1, j+1
			continue
		}
		h := hunk{i, len(old), j, len(new)}
		if skipOld, skipNew, ok := resume(old[i:], new[j:]); ok {
			h.oldTo, h.newTo = i+skipOld, j+skipNew
		}
		i, j = h.oldTo, h.newTo
		hunks = append(hunks, h)
	}
	return hunks
}

// resume returns how much of both lists to skip until they agree: something was
// replaced, taken out or put in.
func resume[T any](old, new []*T) (skipOld, skipNew int, ok bool) {
	for k := 1; k <= diffWindow; k++ {
		if k < len(old) && k < len(new) && old[k] == new[k] {
			return k, k, true
		}
		if k < len(old) && len(new) > 0 && old[k] == new[0] {
			return k, 0, true
		}
		if k < len(new) && len(old) > 0 && old[0] == new[k] {
			return 0, k, true
		}
	}
	return 0, 0, false
}
