package http2

// staticNames finds static names by a hash without collisions among them.
var staticNames = func() (t [256]uint8) {
	for i := len(staticTable) - 1; i > 0; i-- {
		t[nameSlot(staticTable[i].Name)] = uint8(i)
	}
	return t
}()

func nameSlot(name string) uint8 {
	n := len(name)
	return uint8(n)*100 + name[n-1]*107 + name[n/2]*219 + name[n/3]*75
}

// staticName returns the lowest index of a name in the static table, or 0.
func staticName(name string) int {
	if name == "" {
		return 0
	}
	if i := staticNames[nameSlot(name)]; i != 0 && staticTable[i].Name == name {
		return int(i)
	}
	return 0
}
