package expression

// typ is the type of a piece of an expression, as far as it is known before it runs.
type typ struct {
	kind      kind
	key, elem *typ // of maps, and of lists; nil for dyn
}

var (
	dynType    = typ{kind: kindDyn}
	boolType   = typ{kind: kindBool}
	intType    = typ{kind: kindInt}
	stringType = typ{kind: kindString}
	headerType = typ{kind: kindMap, key: &stringType, elem: &stringType}
)

var kindNames = [...]string{"error", "null", "bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration", "list", "map", "dyn"}

// typeNames are names that CEL has for types.
var typeNames = []string{"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"}

// String returns the type's name as CEL has it: "map(string, string)".
func (t typ) String() string {
	switch t.kind {
	case kindList:
		return "list(" + t.element().String() + ")"
	case kindMap:
		return "map(" + t.mapKey().String() + ", " + t.element().String() + ")"
	}
	return kindNames[t.kind]
}

func (t typ) element() typ {
	if t.elem == nil {
		return dynType
	}
	return *t.elem
}

func (t typ) mapKey() typ {
	if t.key == nil {
		return dynType
	}
	return *t.key
}

func (t typ) isNumber() bool {
	return t.kind == kindInt || t.kind == kindUint || t.kind == kindDouble
}

// may tells whether a value of the type can be of that kind.
func (t typ) may(k kind) bool { return t.kind == k || t.kind == kindDyn }

// mayEqual tells whether values of two types can be equal.
func mayEqual(a, b typ) bool {
	switch {
	case a.kind == kindDyn || b.kind == kindDyn, a.isNumber() && b.isNumber():
		return true
	case a.kind == kindNull || b.kind == kindNull:
		// Moments and durations are messages, which may be null.
		other := max(a.kind, b.kind)
		return other == kindNull || other == kindTime || other == kindDuration
	case a.kind != b.kind:
		return false
	}
	return mayEqual(a.element(), b.element()) && mayEqual(a.mapKey(), b.mapKey())
}

// join returns the type of what may be of either.
func join(a, b typ) typ {
	if a.kind != b.kind {
		return dynType
	}
	if a.kind != kindList && a.kind != kindMap {
		return a
	}
	key, elem := join(a.mapKey(), b.mapKey()), join(a.element(), b.element())
	return typ{kind: a.kind, key: &key, elem: &elem}
}

// typeOf returns the type of a literal.
func typeOf(v value) typ { return typ{kind: v.kind} }
